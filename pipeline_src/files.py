"""Outputs that appear whole or not at all."""

import errno
import json
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pipeline_src.errors import DiskFullError, UserError

# A process of another machine or container that has not written for so long is gone.
ELSEWHERE_S = 3600.0


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` when the block ends without an error.

    The temporary file has the suffix of `path` and is this process's alone: of two jobs that write the same file, each
    writes it whole, and the last one's stays. What killed ones have left of it is removed. A full disk becomes a
    UserError that names the file.
    """
    target = Path(path)
    with _beside(target, Path.touch) as part:
        yield part
        os.replace(part, target)


@contextmanager
def whole_directory(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary directory beside `path`; it replaces `path` when the block ends without an error."""
    target = Path(path)
    with _beside(target, Path.mkdir) as part:
        yield part
        while True:
            with suppress(FileNotFoundError):
                os.replace(target, old := part.with_name(f"{part.name}.old"))
                shutil.rmtree(old)
            try:
                os.replace(part, target)
                break
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):  # another job was faster: replace its own
                    raise


@contextmanager
def _beside(target: Path, make: Callable[[Path], None]) -> Iterator[Path]:
    """A temporary path that `make` has made, in a hidden folder of the target's own, so that no other is searched."""
    folder = target.with_name(f".{target.name}.part")
    part = folder / f"{os.getpid()}-{_here()}{target.suffix}"
    try:
        _clear(folder, target.suffix)
        while not part.exists():
            folder.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):  # another job that writes the same has removed the folder
                make(part)
        yield part
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT) or "No space left" in str(error):
            raise DiskFullError(
                f"{target}: no disk space left while writing; free some space or move data_root or results_root"
            ) from error
        raise
    finally:
        _clear(folder, target.suffix)


def _clear(folder: Path, suffix: str) -> None:
    """Remove what this process and those that are gone have left in a folder, and the folder once it is empty."""
    with suppress(FileNotFoundError):
        for left in folder.iterdir():
            if _abandoned(left, suffix):
                shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()


def _abandoned(left: Path, suffix: str) -> bool:
    number, _, rest = left.name.removesuffix(".old").partition("-")
    if rest != f"{_here()}{suffix}":
        return left.lstat().st_mtime < time.time() - ELSEWHERE_S
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return int(number) == os.getpid()


def _here() -> str:
    """Where a process number means one process: a host, and on it a namespace, which containers have of their own."""
    return f"{_process_namespace()}-{platform.node()}"


def _process_namespace() -> str:
    try:
        return str(os.stat("/proc/self/ns/pid").st_ino)
    except OSError:
        return "0"


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write `value` as sorted, indented JSON; NaN and infinity are refused."""
    with whole_file(path) as part:
        part.write_text(json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: str | os.PathLike[str]) -> Any:
    """Read a JSON file; a broken one is a UserError that says how to get it again."""
    try:
        return json.loads(Path(path).read_text())
    except ValueError as error:
        raise UserError(f"{path}: not valid JSON ({error}); delete it and run snakemake again") from error
