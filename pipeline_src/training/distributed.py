"""One training on several processes of one machine, started by torchrun."""

import logging
import os
import sys
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from pipeline_src.errors import UserError

# A step of a large batch and a checkpoint may take longer than torchrun's 30 seconds, which older ones insist on.
SECONDS_TO_SAVE = 120
# How torchrun's record of an exception begins: its class.
USER_ERROR = f"{UserError.__name__}: "


def started_by_torchrun() -> bool:
    """Whether this process is one of several that torchrun started."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def start(module: str, arguments: Sequence[str], processes: int) -> int:
    """Run a module in several processes by torchrun and wait for them.

    A signal to stop reaches all of them, which save and leave. Their errors are recorded by `stages.command.run`.

    Returns:
        The exit code: 0, 128 and the signal's number, or that of the process that failed first.

    Raises:
        UserError: a process ended with one.
    """
    # Of torchrun's banners nothing is news to the user: errors and signals are told below, and by the processes.
    logging.disable()
    # torchrun would set it to 1 with a warning; the stage sets its threads itself.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("TORCH_ELASTIC_SHUTDOWN_TIMEOUT", str(SECONDS_TO_SAVE))
    with tempfile.TemporaryDirectory(prefix="torchrun-") as records:
        return _launched(
            LaunchConfig(
                min_nodes=1,
                max_nodes=1,
                nproc_per_node=processes,
                run_id=uuid.uuid4().hex,
                rdzv_backend="c10d",
                rdzv_endpoint="localhost:0",
                max_restarts=0,
                signals_to_handle="SIGTERM,SIGUSR1,SIGINT,SIGHUP,SIGQUIT",
                logs_specs=DefaultLogsSpecs(records),
            ),
            ["-m", module, *arguments],
        )


def _launched(config: LaunchConfig, arguments: Sequence[str]) -> int:
    try:
        elastic_launch(config, sys.executable)(*arguments)
    except SignalException as error:
        return 128 + error.sigval
    except ChildFailedError as error:
        for failure in error.failures.values():
            if (told := recorded(failure)).startswith(USER_ERROR):
                raise UserError(told.removeprefix(USER_ERROR)) from error
        rank, first = error.get_first_failure()
        print(f"error: process {rank} of {config.nproc_per_node} ended with {first.exitcode}", file=sys.stderr)
        return first.exitcode if first.exitcode > 0 else 128 - first.exitcode
    return 0


def recorded(failure: ProcessFailure) -> str:
    """The exception that a process left for torchrun; empty where it left none."""
    message = failure.error_file_data.get("message", "")
    return str(message["message"] if isinstance(message, dict) else message)


@contextmanager
def together(device: torch.device, processes: int) -> Iterator[torch.device]:
    """Join the other processes while inside; alone there is nothing to join.

    Args:
        device: wanted; of several CUDA devices each process takes its own.
        processes: how many there should be.

    Raises:
        UserError: fewer GPUs than processes, or torchrun started another number of processes.
    """
    if processes == 1 and not started_by_torchrun():
        yield device
        return
    found = int(os.environ.get("WORLD_SIZE", "1"))
    if found != processes:
        raise UserError(f"processes: {processes} - torchrun started {found}; allowed: the same number")
    if device.type == "cuda":
        if processes > torch.cuda.device_count():
            raise UserError(f"processes: {processes} - allowed: at most {torch.cuda.device_count()}, one a GPU here")
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield device
    finally:
        dist.destroy_process_group()
