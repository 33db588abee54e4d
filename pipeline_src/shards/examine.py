"""What a shard's file really holds, read in a process of its own: damaged HDF5 can crash its library or hang it."""

import multiprocessing
import resource
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext
from pathlib import Path

from pipeline_src.errors import UserError
from pipeline_src.shards.format import DAMAGE
from pipeline_src.shards.reader import ShardReader

# Without a sign of life for so long, a process hangs: a block of data takes far less on the slowest file system.
STALL_S = 120.0
# Damaged sizes can ask for any amount; a sound shard needs a few hundred megabytes, most of it for libraries.
MEMORY_BYTES = 8 << 30


@dataclass(frozen=True)
class Contents:
    """What was found in a shard's file.

    Attributes:
        error: why the file cannot be read; "" where it can, and else the rest is empty.
        modality: what it says that it holds.
        recorded: the content hash that it states.
        content_hash: the same, recomputed from all that it holds.
        clip_ids: its clips in order.
        lengths: time steps of each.
    """

    error: str = ""
    modality: str = ""
    recorded: str = ""
    content_hash: str = ""
    clip_ids: tuple[str, ...] = ()
    lengths: tuple[int, ...] = ()


def examine(path: Path, progress: Callable[[int], object]) -> Contents:
    """Read all of a shard's file in this process, a few megabytes at a time.

    Args:
        path: the file.
        progress: called with the number of bytes of data read since the last call.
    """
    if not path.is_file():
        return Contents(error="missing")
    try:
        reader = ShardReader(path)
        found = reader.content_hash(progress)
        reader.close()
        return Contents(
            "",
            str(reader.attributes["modality"]),
            str(reader.attributes["content_hash"]),
            found,
            tuple(reader.clip_ids),
            tuple(reader.lengths.tolist()),
        )
    except UserError as error:
        reason = error.__cause__ or str(error).removeprefix(f"{path}: ").split(";")[0]
        return Contents(error=f"cannot be read ({reason})")
    except (*DAMAGE, MemoryError) as error:
        return Contents(error=f"cannot be read ({error!r})")


def examine_all(
    paths: Sequence[Path], processes: int, progress: Callable[[int], object] = lambda read: None
) -> Iterator[tuple[Path, Contents]]:
    """Examine files, `processes` at a time, and yield them as they are done."""
    context = multiprocessing.get_context("forkserver")
    waiting = deque(paths)
    busy: list[_Examiner] = []
    idle: list[_Examiner] = []
    try:
        while waiting or busy:
            while waiting and len(busy) < processes:
                examiner = idle.pop() if idle else _Examiner(context)
                examiner.begin(waiting.popleft())
                busy.append(examiner)
            wait([examiner.pipe for examiner in busy], timeout=1.0)
            for examiner in list(busy):
                found = examiner.hear(progress)
                if found is not None:
                    busy.remove(examiner)
                    if examiner.process.is_alive():
                        idle.append(examiner)
                    yield examiner.path, found
    finally:
        for examiner in (*busy, *idle):
            examiner.end()


class _Examiner:
    """A process that examines one file after the other."""

    def __init__(self, context: ForkServerContext) -> None:
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs,), daemon=True)
        self.process.start()
        theirs.close()

    def begin(self, path: Path) -> None:
        self.path, self._heard = path, time.monotonic()
        self.pipe.send(path)

    def hear(self, progress: Callable[[int], object]) -> Contents | None:
        """What the file holds, once that is known; a process that crashed or hangs has ended then."""
        try:
            while self.pipe.poll():
                message = self.pipe.recv()
                if isinstance(message, Contents):
                    return message
                self._heard = time.monotonic()
                progress(message)
        except (EOFError, OSError):
            self.end()
            return Contents(error="cannot be read (HDF5 crashes on it)")
        if time.monotonic() - self._heard > STALL_S:
            self.end()
            return Contents(error="cannot be read (HDF5 hangs on it)")
        return None

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


def _serve(pipe: Connection) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    with suppress(EOFError):  # The end of the program.
        while True:
            pipe.send(examine(pipe.recv(), pipe.send))
