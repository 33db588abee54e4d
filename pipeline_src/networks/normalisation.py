"""Batch normalisation whose statistics are taken per view, over all processes.

All views of a modality go through its encoder in one pass. Were their statistics taken together, a term's value
would depend on which other terms are active. So each view is normalised by its own batch statistics, and the
running statistics, which evaluation uses, come from the plain view alone.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from pipeline_src.networks.parallel import processes, sum_over_processes


@dataclass
class ViewSizes:
    """How many rows of the present batch belong to each view; shared by an encoder's layers.

    Attributes:
        sizes: rows per view; () where all rows are one view.
        plain: whether the first view is the plain one, from which the running statistics come.
    """

    sizes: tuple[int, ...] = ()
    plain: bool = True


class ViewBatchNorm(_BatchNorm):
    """Batch normalisation of (N, C, ...) with separate statistics per view while training."""

    def __init__(self, channels: int, views: ViewSizes, eps: float = 1e-5, momentum: float | None = 0.1) -> None:
        super().__init__(channels, eps=eps, momentum=momentum)
        self.views = views

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() < 2:
            raise ValueError(f"input has {input.dim()} dimensions; allowed: at least 2")

    def forward(self, input: Tensor) -> Tensor:
        """Normalise; a plain first view updates the running statistics."""
        if not self.training:
            return super().forward(input)
        parts = input.split(self.views.sizes) if self.views.sizes else (input,)
        if processes() > 1:
            return torch.cat(self._together(parts))
        found = [self._alone(part, first=number == 0) for number, part in enumerate(parts)]
        return found[0] if len(found) == 1 else torch.cat(found)

    def _alone(self, view: Tensor, first: bool) -> Tensor:
        if first and self.views.plain:
            return super().forward(view)
        return functional.batch_norm(view, None, None, self.weight, self.bias, True, 0.0, self.eps)

    def _together(self, views: tuple[Tensor, ...]) -> list[Tensor]:
        """Statistics over all processes, which may have different numbers of rows."""
        axes = [axis for axis in range(views[0].dim()) if axis != 1]
        wide = [view.double() if view.dtype == torch.float64 else view.float() for view in views]
        counts = wide[0].new_tensor([view.numel() / view.shape[1] for view in views])
        counts = sum_over_processes(counts)[:, None].clamp_min(1)
        mean = sum_over_processes(torch.stack([view.sum(axes) for view in wide])) / counts
        shape = (1, -1, *[1] * (views[0].dim() - 2))
        centred = [view - middle.view(shape) for view, middle in zip(wide, mean, strict=True)]
        variance = sum_over_processes(torch.stack([view.square().sum(axes) for view in centred])) / counts
        if self.views.plain:
            self._follow(mean[0].detach(), variance[0].detach(), counts[0])
        found = []
        for number, view in enumerate(centred):
            scale = self.weight * torch.rsqrt(variance[number] + self.eps)
            found.append((view * scale.view(shape) + self.bias.view(shape)).to(views[number].dtype))
        return found

    def _follow(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked += 1
        unbiased = variance * (count / (count - 1).clamp_min(1))
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
        self.running_var.lerp_(unbiased.to(self.running_var.dtype), self.momentum)


def normalise_per_view(module: nn.Module, views: ViewSizes) -> nn.Module:
    """Replace every batch normalisation inside `module` by a ViewBatchNorm with the same parameters."""
    for name, child in module.named_children():
        if isinstance(child, _BatchNorm) and not isinstance(child, ViewBatchNorm):
            made = ViewBatchNorm(child.num_features, views, child.eps, child.momentum)
            made.load_state_dict(child.state_dict())
            setattr(module, name, made)
        else:
            normalise_per_view(child, views)
    return module
