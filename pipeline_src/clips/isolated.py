"""Work on foreign files in processes of their own: a library that crashes or hangs on one ends only that process."""

import multiprocessing
import resource
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from queue import SimpleQueue
from types import ModuleType
from typing import Any, Generic, TypeVar

from pipeline_src.errors import UserError

A = TypeVar("A")
R = TypeVar("R")
_STARTING = threading.Lock()


class IsolatedError(Exception):
    """The process crashed or took too long."""


class TimedOutError(IsolatedError):
    """The process took too long."""


@contextmanager
def isolated(
    work: Callable[[A], R], processes: int, *, timeout_s: float | None = None, memory_bytes: int | None = None
) -> Iterator[Callable[[A], R]]:
    """A function that threads may call, `processes` at a time, each call in a process that lives on for the next.

    What `work` raises is raised here, too. The call raises IsolatedError where the process crashes or needs longer
    than `timeout_s`; the next call has a new one. A process that the system has killed is a UserError: the next attempt
    may have more memory.

    Args:
        work: a function of a module; its argument, result and errors are sent between processes.
        processes: how many there are.
        timeout_s: longest time for one call in seconds; None for no limit.
        memory_bytes: of each process, so that nonsense in a file cannot ask for all there is; None for no limit.
    """
    ready: SimpleQueue[_Process[A, R]] = SimpleQueue()
    made = [_Process(work, memory_bytes) for _ in range(processes)]
    for process in made:
        ready.put(process)

    def call(argument: A) -> R:
        process = ready.get()
        try:
            return process.call(argument, timeout_s)
        finally:
            ready.put(process)

    try:
        yield call
    finally:
        for process in made:
            process.over = True
        for process in made:
            process.end()


class _Process(Generic[A, R]):
    """A process that starts when it is first needed.

    Attributes:
        over: it is needed no more; a thread that still waits for it gets an IsolatedError.
    """

    def __init__(self, work: Callable[[A], R], memory_bytes: int | None) -> None:
        self.over = False
        self._work, self._memory_bytes = work, memory_bytes
        self._running: tuple[BaseProcess, Connection] | None = None

    def call(self, argument: A, timeout_s: float | None) -> R:
        if self.over:
            raise IsolatedError("ended")
        if self._running is None:
            context = multiprocessing.get_context("forkserver")
            ours, theirs = context.Pipe()
            started = context.Process(target=_serve, args=(theirs, self._work, self._memory_bytes), daemon=True)
            _start(started)
            theirs.close()
            self._running = started, ours
        process, pipe = self._running
        try:
            pipe.send(argument)
            if not pipe.poll(timeout_s):
                self.end()
                raise TimedOutError(f"longer than {timeout_s:g} s")
            result, error = pipe.recv()
        except (EOFError, OSError) as broken:
            process.join(1)
            killed = process.exitcode == -signal.SIGKILL and not self.over
            self.end()
            if killed:
                raise UserError(
                    "a process of this job was killed, as it happens when memory runs out; give the job more memory or"
                    " fewer threads"
                ) from broken
            raise IsolatedError("its process crashed") from broken
        if error is not None:
            raise error
        return result

    def end(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            process, pipe = running
            process.kill()
            process.join()
            pipe.close()


def _start(process: BaseProcess) -> None:
    """Start a process that does not import the running program anew, which may take seconds: `work` is elsewhere."""
    with _STARTING:
        program = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            process.start()
        finally:
            sys.modules["__main__"] = program


def _serve(pipe: Connection, work: Callable[[Any], Any], memory_bytes: int | None) -> None:
    if memory_bytes is not None:
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    with suppress(EOFError):  # The end of the program.
        while True:
            argument = pipe.recv()
            answer: tuple[Any, Exception | None]
            try:
                answer = work(argument), None
            except Exception as error:
                answer = None, error
            pipe.send(answer)
