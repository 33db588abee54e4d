"""Batch normalisation whose statistics are taken per view.

All views of a modality go through its encoder in one pass. Were their statistics taken together, a term's value
would depend on which other terms are active. So each view is normalised by its own batch statistics, and the
running statistics, which evaluation uses, come from the plain view alone.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm


@dataclass
class ViewSizes:
    """How many rows of the present batch belong to each view, the plain view first; shared by an encoder's layers."""

    sizes: tuple[int, ...] = ()


class ViewBatchNorm(_BatchNorm):
    """Batch normalisation of (N, C, ...) with separate statistics per view while training."""

    def __init__(self, channels: int, views: ViewSizes, eps: float = 1e-5, momentum: float | None = 0.1) -> None:
        super().__init__(channels, eps=eps, momentum=momentum)
        self.views = views

    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() < 2:
            raise ValueError(f"input has {input.dim()} dimensions; allowed: at least 2")

    def forward(self, input: Tensor) -> Tensor:
        """Normalise; the first view updates the running statistics."""
        if not self.training or len(self.views.sizes) <= 1:
            return super().forward(input)
        plain, *others = input.split(self.views.sizes)
        normalised = [super().forward(plain)]
        for view in others:
            normalised.append(functional.batch_norm(view, None, None, self.weight, self.bias, True, 0.0, self.eps))
        return torch.cat(normalised)


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
