"""Leaving in an orderly way when the scheduler says so."""

import signal
import time
from types import FrameType, TracebackType

from pipeline_src.batches.loader import STOP_SIGNALS


class StopRequest:
    """While active, STOP_SIGNALS set `signal_number` and end nothing; a second Ctrl-C, a second later, ends all."""

    signal_number: int | None = None
    _noted = 0.0

    def __enter__(self) -> "StopRequest":
        self._before = [(number, signal.signal(number, self._note)) for number in STOP_SIGNALS]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before:
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        # Two presses in haste are one wish to stop.
        if number == signal.SIGINT and self.signal_number == number and time.monotonic() > self._noted + 1:
            raise KeyboardInterrupt
        self.signal_number, self._noted = number, time.monotonic()
