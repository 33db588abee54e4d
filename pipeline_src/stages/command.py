"""The frame of every stage's program: arguments, settings as JSON, errors as one line."""

import argparse
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

from pipeline_src.errors import DiskFullError, UserError
from pipeline_src.stages.job_record import recorded

if TYPE_CHECKING:
    from pipeline_src.settings.base import Settings

S = TypeVar("S", bound="Settings")


def parser(description: str | None) -> argparse.ArgumentParser:
    """An argument parser with the `--settings` option that every stage has."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--settings", required=True, help="this stage's settings as JSON")
    return made


def add_machine(arguments: argparse.ArgumentParser) -> None:
    """Add the `--machine` option of stages with settings of MACHINE."""
    arguments.add_argument("--machine", default="{}", help="more settings as JSON, of those that rerun nothing")


def add_evaluation(arguments: argparse.ArgumentParser) -> None:
    """Add the options of stages that evaluate a model on a split of a labelled collection."""
    arguments.add_argument("--clips-index", type=Path, required=True, help="index.json of the labelled collection")
    arguments.add_argument("--split", type=int, required=True, help="number of the split, from 1")
    arguments.add_argument("--entry", required=True, help="name of the lineup entry")
    arguments.add_argument("--seed", type=int, required=True, help="the model's seed, also of the evaluation")
    arguments.add_argument("--out", type=Path, required=True, help="JSON to write")


def settings_from(text: str, model: type[S], machine: str = "{}") -> S:
    """Parse a stage's settings and those of the machine; a wrong value is a UserError that names it."""
    # Here, since programs that use an exported encoder run without pydantic.
    from pydantic import ValidationError

    from pipeline_src.settings.base import describe_error, merged

    try:
        return model.model_validate(merged(_object(text, "--settings"), _object(machine, "--machine")))
    except ValidationError as error:
        raise UserError(describe_error(error)) from error


def _object(text: str, option: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise UserError(f"{option}: not valid JSON ({error})") from error
    if not isinstance(found, dict):
        raise UserError(f"{option}: {text[:40]!r} - allowed: a JSON object")
    return found


def run(main: Callable[[], None]) -> None:
    """Call `main`; a UserError is one line on stderr and exit code 2. In a run, the job's record goes to its log.

    One of several processes leaves that line to torchrun's record instead, so that its parent prints it once.

    SIGTERM and SIGUSR1, which a cluster sends before it kills a job, become an ordinary exit that removes half-written
    files; a training saves its state first.
    """
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGUSR1, _leave)
    try:
        with recorded():
            main()
    except UserError as error:
        if "TORCHELASTIC_ERROR_FILE" in os.environ:
            _tell_torchrun(error)
        else:
            print(f"error: {error}", file=sys.stderr, flush=True)
        if isinstance(error, DiskFullError):
            # HDF5 crashes at an ordinary exit when it still holds a file that it could not write.
            os._exit(2)
        sys.exit(2)


def _tell_torchrun(error: UserError) -> None:
    """Leave the error to the process that started this one among others, which says it once."""
    from torch.distributed.elastic.multiprocessing.errors import get_error_handler

    handler = get_error_handler()
    handler.initialize()
    # As what it is to the user, whichever kind of it: the parent knows it by that name.
    handler.record_exception(UserError(str(error)))


def _leave(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)
