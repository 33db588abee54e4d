"""Copies of shards on a node's own disk, for trainings that read them again and again over a network."""

import fcntl
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import IO

from pipeline_src.errors import UserError
from pipeline_src.files import whole_file
from pipeline_src.shards.index import Collection

# Left free for others.
RESERVE_BYTES = 1 << 30


@contextmanager
def on_scratch(collection: Collection, folder: str | None) -> Iterator[Collection]:
    """The collection whose readers copy a shard to `folder` when they open it first.

    Jobs of one node that read the same collection share the copies, and the last one removes them; those of jobs that
    were killed go when the next job begins. Where there is no room a shard is read where it is, and so are all where
    `folder` knows no locks.

    Args:
        collection: any.
        folder: may name environment variables, as in $TMPDIR; None copies nothing.

    Raises:
        UserError: a variable that is not set, or a folder that cannot be made; and those of readers, which name the
            shard instead of its copy.
    """
    if folder is None:
        yield collection
        return
    base = Path(os.path.expandvars(folder))
    if "$" in str(base):
        raise UserError(f"scratch: {folder!r} - allowed: a path whose variables are set where the job runs")
    ours = base / f"evolved-losses-{os.getuid()}"
    # The collection's place and content, so that another one, or a newer one, has copies of its own.
    name = f"{collection.folder.resolve()} {json.dumps(collection.index, sort_keys=True)}"
    own = ours / hashlib.sha256(name.encode()).hexdigest()[:16]
    with ExitStack() as stack:
        try:
            base.mkdir(parents=True, exist_ok=True)
            ours.mkdir(mode=0o700, exist_ok=True)
            # On a folder that all may write, somebody else could have laid shards there.
            if ours.is_symlink() or ours.stat().st_uid != os.getuid():
                raise PermissionError(f"{ours} is somebody else's")
            lock = stack.enter_context(open(own.with_suffix(".lock"), "w"))
        except OSError as error:
            raise UserError(f"scratch: {folder!r} - allowed: a folder that can be written ({error})") from error
        if not _locked(lock, base):
            yield collection
            return
        stack.callback(_remove_if_unused, own, lock)
        _remove_abandoned(ours)
        copies = own / collection.folder.name
        try:
            yield replace(collection, scratch=copies)
        except UserError as error:
            if str(copies) not in str(error):
                raise
            told = str(error).replace(str(copies), str(collection.folder))
            raise UserError(
                f"{told}. It was read from a copy below {base}: where the shard is whole, that is at fault"
            ) from error


def _locked(lock: IO[str], base: Path) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_SH)
    except OSError as error:
        print(f"scratch: {base} cannot lock files ({error}); shards are read where they are", file=sys.stderr)
        return False
    return True


def _remove_abandoned(ours: Path) -> None:
    """Remove the copies of jobs that were killed. Locks stay: removed ones could be held by a job that just begins."""
    for path in ours.glob("*.lock"):
        if path.with_suffix("").is_dir():
            with suppress(OSError), open(path, "w") as lock:
                _remove_if_unused(path.with_suffix(""), lock)


def _remove_if_unused(copies: Path, lock: IO[str]) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    shutil.rmtree(copies, ignore_errors=True)


def copied(path: Path, folder: Path) -> Path:
    """The copy of a shard below `folder`, made where it is not there yet; the shard itself where there is no room."""
    target = folder / path.parent.name / path.name
    try:
        size = path.stat().st_size
        if _is_whole(target, size):
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        # Jobs of a node, and processes of a job, open the same shards at the same time.
        with open(target.with_suffix(".lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if _is_whole(target, size):
                return target
            free = shutil.disk_usage(folder).free
            if free < size + RESERVE_BYTES:
                print(f"scratch: {free >> 20} MB free, too few for {path}; it is read where it is", file=sys.stderr)
                return path
            with whole_file(target) as part:
                shutil.copyfile(path, part)
    except (OSError, UserError) as error:
        print(f"scratch: {path} is read where it is ({error})", file=sys.stderr)
        return path
    return target


def _is_whole(copy: Path, size: int) -> bool:
    return copy.exists() and copy.stat().st_size == size
