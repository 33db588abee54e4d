"""Copies of shards on a node's own disk, for trainings that read them again and again over a network."""

import fcntl
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
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

    Jobs of one node that read the same collection share the copies, and the last one removes them. Where there is no
    room a shard is read where it is.

    Args:
        collection: any.
        folder: may name environment variables, as in $TMPDIR; None copies nothing.

    Raises:
        UserError: a variable that is not set, or a folder that cannot be made.
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
        fcntl.flock(lock, fcntl.LOCK_SH)
        stack.callback(_remove_if_unused, own, lock)
        yield replace(collection, scratch=own / collection.folder.name)


def _remove_if_unused(own: Path, lock: IO[str]) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    shutil.rmtree(own, ignore_errors=True)


def copied(path: Path, folder: Path) -> Path:
    """The copy of a shard below `folder`, made where it is not there yet; the shard itself where there is no room."""
    target = folder / path.parent.name / path.name
    if target.exists():
        return target
    size = path.stat().st_size
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Jobs of a node, and processes of a job, open the same shards at the same time.
        with open(target.with_suffix(".lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if target.exists():
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
