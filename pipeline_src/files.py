"""Outputs that appear whole or not at all."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline_src.errors import DiskFullError, UserError


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` when the block ends without an error.

    The temporary name keeps the suffix of `path`, and is always the same: what a killed process has left is replaced. A
    full disk becomes a UserError that names the file.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.stem}.part{target.suffix}")
    part.unlink(missing_ok=True)
    part.touch()
    try:
        yield part
        os.replace(part, target)
    except OSError as error:
        if error.errno in (28, 122) or "No space left" in str(error):
            raise DiskFullError(
                f"{target}: no disk space left while writing; free some space or move data_root or results_root"
            ) from error
        raise
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def whole_directory(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary directory beside `path`; it replaces `path` when the block ends without an error."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    if part.exists():
        shutil.rmtree(part)
    part.mkdir()
    try:
        yield part
        if target.exists():
            shutil.rmtree(target)
        os.replace(part, target)
    except OSError as error:
        if error.errno in (28, 122):
            raise DiskFullError(
                f"{target}: no disk space left while writing; free some space or move data_root or results_root"
            ) from error
        raise
    finally:
        if part.exists():
            shutil.rmtree(part)


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
