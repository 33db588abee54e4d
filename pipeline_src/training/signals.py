"""Leaving in an orderly way when the scheduler says so."""

import signal
from types import FrameType, TracebackType

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


class StopRequest:
    """While active, SIGTERM and SIGUSR1 set `signal_number` instead of ending the process."""

    signal_number: int | None = None

    def __enter__(self) -> "StopRequest":
        self._before = [(number, signal.signal(number, self._note)) for number in SIGNALS]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before:
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal_number = number
