"""Several processes as one: every process has its share of a step's clips, and the loss is that of the whole batch.

Two kinds of values meet that. What compares clips with each other (contrastive terms, Sinkhorn) works on embeddings
gathered from all processes, the same everywhere; `gather` hands each process the gradient of its own share. What is a
mean over clips is `mean_over_clips`, whose mean over processes is the mean over all clips. After that, gradients are
averaged over processes. Alone, a process gathers nothing and averages what it has.
"""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


def processes() -> int:
    """How many processes train together."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def process() -> int:
    """This process's number, from 0."""
    return dist.get_rank() if processes() > 1 else 0


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor, counts: list[int]) -> Tensor:
        ctx.counts = counts
        padded = rows.new_zeros(max(counts), *rows.shape[1:])
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in counts]
        dist.all_gather(parts, padded)
        return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        first = sum(ctx.counts[: process()])
        # Gradients are averaged over processes afterwards, and only this one passes its share on.
        return gradient[first : first + ctx.counts[process()]] * processes(), None


def gather(rows: Tensor) -> Tensor:
    """Rows of all processes, one process after the other; with the gradient of this process's own."""
    if processes() == 1:
        return rows
    counts = _counts(len(rows), rows.device)
    return _Gather.apply(rows.contiguous(), counts)


def mean_over_clips(values: Tensor) -> Tensor | None:
    """The mean over the rows of all processes as this process's share of it; None where there are no rows at all.

    The mean of all processes' shares is the mean of all rows.
    """
    if processes() == 1:
        return values.mean() if len(values) else None
    counts = _counts(len(values), values.device)
    if sum(counts) == 0:
        return None
    per_row = values[0].numel() if len(values) else 1
    return values.sum() * (processes() / (sum(counts) * per_row))


class _SumOverProcesses(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        total = value.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        dist.all_reduce(total)
        return total


def sum_over_processes(value: Tensor) -> Tensor:
    """The sum of all processes' values, with its gradient to each of them."""
    return value if processes() == 1 else _SumOverProcesses.apply(value)


def average(values: list[Tensor]) -> None:
    """Replace values by their means over processes, in one exchange."""
    if processes() == 1 or not values:
        return
    flat = torch.cat([value.reshape(-1) for value in values])
    dist.all_reduce(flat)
    flat /= processes()
    for value, part in zip(values, flat.split([value.numel() for value in values]), strict=True):
        value.copy_(part.view_as(value))


def average_gradients(module: nn.Module) -> None:
    """Average the gradients of a module's parameters over processes.

    One that some processes lack counts as zero there; one that all lack stays away, so that the optimiser leaves its
    parameter alone, as it does in a single process.
    """
    if processes() == 1:
        return
    learned = [parameter for parameter in module.parameters() if parameter.requires_grad]
    if not learned:
        return
    there = torch.tensor([float(parameter.grad is not None) for parameter in learned], device=learned[0].device)
    dist.all_reduce(there, dist.ReduceOp.MAX)
    gradients = []
    for parameter, found in zip(learned, there.tolist(), strict=True):
        if found:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            gradients.append(parameter.grad)
    for kind in sorted({gradient.dtype for gradient in gradients}, key=str):
        average([gradient for gradient in gradients if gradient.dtype == kind])


def any_process(flag: bool, device: torch.device) -> bool:
    """Whether the flag is set in any process."""
    if processes() == 1:
        return flag
    found = torch.tensor(float(flag), device=device)
    dist.all_reduce(found, dist.ReduceOp.MAX)
    return bool(found)


def _counts(count: int, device: torch.device) -> list[int]:
    own = torch.tensor([count], device=device)
    found = [torch.empty_like(own) for _ in range(processes())]
    dist.all_gather(found, own)
    return [int(part) for part in found]
