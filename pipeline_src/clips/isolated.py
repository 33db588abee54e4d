"""Work on foreign files in processes of their own: a library that crashes or hangs on one ends only that process."""

import multiprocessing
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

A = TypeVar("A")
R = TypeVar("R")

MEMORY_BYTES = 8 << 30


class IsolatedError(Exception):
    """The process crashed or took too long."""


@contextmanager
def isolated(work: Callable[[A], R], processes: int, timeout_s: float | None) -> Iterator[Callable[[A], R]]:
    """A function that threads may call, `processes` at a time, each call in a process that lives on for the next.

    What `work` raises is raised here, too. The call raises IsolatedError where the process crashes or needs longer
    than `timeout_s`; the next call has a new one.

    Args:
        work: a function of a module; its argument, result and errors are sent between processes.
        processes: how many there are.
        timeout_s: longest time for one call in seconds; None for no limit.
    """
    ready: SimpleQueue[_Process[A, R]] = SimpleQueue()
    made = [_Process(work) for _ in range(processes)]
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
            process.end()


class _Process(Generic[A, R]):
    def __init__(self, work: Callable[[A], R]) -> None:
        self._work = work
        self._pipe: Connection | None = None

    def call(self, argument: A, timeout_s: float | None) -> R:
        if self._pipe is None:
            context = multiprocessing.get_context("forkserver")
            self._pipe, theirs = context.Pipe()
            self._process = context.Process(target=_serve, args=(theirs, self._work), daemon=True)
            self._process.start()
            theirs.close()
        try:
            self._pipe.send(argument)
            if not self._pipe.poll(timeout_s):
                self.end()
                raise IsolatedError(f"longer than {timeout_s:g} s")
            result, error = self._pipe.recv()
        except (EOFError, OSError) as broken:
            self.end()
            raise IsolatedError("the library that reads it crashed") from broken
        if error is not None:
            raise error
        return result

    def end(self) -> None:
        if self._pipe is not None:
            self._process.kill()
            self._process.join()
            self._pipe.close()
        self._pipe = None


def _serve(pipe: Connection, work: Callable[[Any], Any]) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    with suppress(EOFError):  # The end of the program.
        while True:
            argument = pipe.recv()
            answer: tuple[Any, Exception | None]
            try:
                answer = work(argument), None
            except Exception as error:
                answer = None, error
            pipe.send(answer)
