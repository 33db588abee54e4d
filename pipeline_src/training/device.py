"""Where tensors are computed and with how many threads; on a CPU reproducibly."""

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
        torch.use_deterministic_algorithms(True)
        # Filling fresh memory guards against faulty code and costs a tenth of the time.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        return torch.device("cpu")
    return torch.device("cuda")
