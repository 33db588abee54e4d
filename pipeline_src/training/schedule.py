"""Optimiser and learning rate."""

import math

import torch
from torch import nn

from pipeline_src.settings.learning import TrainingSettings
from pipeline_src.training.lars import Lars


def learning_rate(step: int, iterations: int, highest: float, warmup: float) -> float:
    """Linear warm-up over the first part, then a half cosine to zero (Loshchilov and Hutter 2017)."""
    rising = warmup * iterations
    if step < rising:
        return highest * (step + 1) / math.ceil(rising)
    return highest * 0.5 * (1 + math.cos(math.pi * (step - rising) / max(iterations - rising, 1)))


def build_optimiser(module: nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
    """SGD, AdamW or LARS of what has a gradient; biases and normalisation have no weight decay."""
    learned = [parameter for parameter in module.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in learned if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in learned if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if settings.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=settings.learning_rate, momentum=settings.momentum)
    if settings.optimiser == "lars":
        return Lars(groups, lr=settings.learning_rate, momentum=settings.momentum, trust=settings.trust)
    return torch.optim.AdamW(groups, lr=settings.learning_rate)


def set_learning_rate(optimiser: torch.optim.Optimizer, value: float) -> None:
    """Set the learning rate of all groups."""
    for group in optimiser.param_groups:
        group["lr"] = value
