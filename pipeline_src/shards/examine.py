"""What a shard's file really holds, read in a process of its own: damaged HDF5 can crash its library or hang it."""

import multiprocessing
import resource
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from pipeline_src.errors import UserError
from pipeline_src.shards.format import DAMAGE, ShardReader

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


def examine(path: Path, progress: Callable[[int], None]) -> Contents:
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
        return Contents(error=f"cannot be read ({error.__cause__ or str(error).removeprefix(f'{path}: ')})")
    except DAMAGE as error:
        return Contents(error=f"cannot be read ({error!r})")


def examine_all(
    paths: Sequence[Path], processes: int, progress: Callable[[int], None] = lambda read: None
) -> Iterator[tuple[Path, Contents]]:
    """Examine files, `processes` at a time, and yield them as they are done."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    waiting = deque(paths)
    running: dict[Connection, tuple[Path, ForkServerProcess, float]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < processes:
                ours, theirs = context.Pipe(duplex=False)
                child = context.Process(target=_child, args=(waiting[0], theirs), daemon=True)
                child.start()
                theirs.close()
                running[ours] = (waiting.popleft(), child, time.monotonic())
            heard = wait(list(running), timeout=1.0)
            for pipe, (path, child, last) in list(running.items()):
                found = None
                if pipe in heard:
                    try:
                        message = pipe.recv()
                    except (EOFError, OSError):
                        message = Contents(error="cannot be read (HDF5 crashes on it)")
                    if isinstance(message, int):
                        progress(message)
                        running[pipe] = (path, child, time.monotonic())
                        continue
                    found = message
                elif time.monotonic() - last > STALL_S:
                    found = Contents(error="cannot be read (HDF5 hangs on it)")
                if found is not None:
                    del running[pipe]
                    _end(pipe, child)
                    yield path, found
    finally:
        for pipe, (_, child, _) in running.items():
            _end(pipe, child)


def _end(pipe: Connection, child: ForkServerProcess) -> None:
    pipe.close()
    child.kill()
    child.join()


def _child(path: Path, pipe: Connection) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    pipe.send(examine(path, pipe.send))
