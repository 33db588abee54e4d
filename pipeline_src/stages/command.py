"""The frame of every stage's program: arguments, settings as JSON, errors as one line."""

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import TypeVar

from pydantic import ValidationError

from pipeline_src.errors import DiskFullError, UserError
from pipeline_src.settings.base import Settings, describe_error

S = TypeVar("S", bound=Settings)


def parser(description: str | None) -> argparse.ArgumentParser:
    """An argument parser with the `--settings` option that every stage has."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--settings", required=True, help="this stage's settings as JSON")
    return made


def settings_from(text: str, model: type[S]) -> S:
    """Parse a stage's settings; a wrong value is a UserError that names it."""
    try:
        return model.model_validate(json.loads(text))
    except ValueError as error:
        if isinstance(error, ValidationError):
            raise UserError(describe_error(error)) from error
        raise UserError(f"--settings: not valid JSON ({error})") from error


def run(main: Callable[[], None]) -> None:
    """Call `main`; print a UserError as one line on stderr and exit with code 2.

    SIGTERM, which a cluster sends before it kills a job, becomes an ordinary exit that removes half-written files.
    """
    signal.signal(signal.SIGTERM, _leave)
    try:
        main()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        if isinstance(error, DiskFullError):
            # HDF5 crashes at an ordinary exit when it still holds a file that it could not write.
            os._exit(2)
        sys.exit(2)


def _leave(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)
