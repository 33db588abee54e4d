"""Where tensors are computed and with how many threads; on a CPU reproducibly."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from pipeline_src.errors import UserError


def prepare_device(wanted: str, threads: int) -> torch.device:
    """Set torch's CPU threads and choose the device; a CPU computes deterministically, CUDA nearly so.

    Args:
        wanted: auto, cpu or cuda.
        threads: CPU threads; part of the result, because sums depend on how they are split.

    Raises:
        UserError: cuda is wanted and there is none.
    """
    torch.set_num_threads(threads)
    if wanted == "cuda" and not torch.cuda.is_available():
        raise UserError("device: 'cuda' - no CUDA device is visible here; allowed: auto or cpu")
    if wanted == "cpu" or not torch.cuda.is_available():
        # As use_deterministic_algorithms(True), which besides loads torch's compiler, in two seconds.
        torch.set_deterministic_debug_mode("error")
        # Filling fresh memory guards against faulty code and costs a tenth of the time.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        return torch.device("cpu")
    return torch.device("cuda")


@contextmanager
def arithmetic(device: torch.device, autocast: bool) -> Iterator[None]:
    """Compute in bfloat16 where that loses nothing that matters, if asked; losses and their gradients belong in here.

    On a CPU without oneDNN, which leaves gradients of 3-wide convolutions over two frames unfilled (torch 2.15).
    """
    onednn: Any = torch.backends.mkldnn
    before = onednn.enabled
    onednn.enabled = before and not (autocast and device.type == "cpu")
    try:
        with torch.autocast(device.type, torch.bfloat16, enabled=autocast):
            yield
    finally:
        onednn.enabled = before
