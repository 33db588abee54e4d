"""LARS: layer-wise adaptive rates for batches of thousands (You et al. 2017)."""

from collections.abc import Callable, Iterable
from typing import Any

import torch


class Lars(torch.optim.Optimizer):
    """SGD with momentum whose step in each tensor is proportional to the tensor's own norm.

    v = momentum * v + rate * local * (gradient + decay * w),  w = w - v,
    local = trust * |w| / |gradient + decay * w|                     (You et al. 2017, equation 6)

    Tensors of one dimension, biases and normalisation, take plain steps without decay, as in SimCLR and BYOL.

    Args:
        params: parameters or groups.
        lr: learning rate.
        momentum, weight_decay: as for SGD.
        trust: trust coefficient.
    """

    def __init__(
        self, params: Iterable[Any], lr: float, momentum: float = 0.9, weight_decay: float = 0.0, trust: float = 0.001
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "trust": trust})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step; no closure is taken."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                change = parameter.grad
                if parameter.ndim > 1:
                    change = change + group["weight_decay"] * parameter
                    norm, steepness = parameter.norm(), change.norm()
                    local = torch.where((norm > 0) & (steepness > 0), group["trust"] * norm / steepness, 1.0)
                    change = change * local
                state = self.state[parameter]
                if "velocity" not in state:
                    state["velocity"] = torch.zeros_like(parameter)
                state["velocity"].mul_(group["momentum"]).add_(change, alpha=group["lr"])
                parameter.sub_(state["velocity"])
