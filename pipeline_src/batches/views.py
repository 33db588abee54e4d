"""Views: a modality and what is done to its window before it is encoded.

A transform reads one *moment* of the clip and changes it, batched, on the training device:

    clip     |---------- frames ----------------------------------|
    now               |-- window --|
    next                            |-- future frames --|
    shifted                   |-- window --|      at least half a window away from now
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Change = Callable[[Tensor, torch.Generator], Tensor]


@dataclass(frozen=True, order=True)
class View:
    """What an encoder sees, or a term compares with.

    Attributes:
        modality: rgb, flow, grey or audio.
        transform: a key of TRANSFORMS.
    """

    modality: str
    transform: str = "plain"

    def __str__(self) -> str:
        return f"{self.modality}:{self.transform}"


def _keep(x: Tensor, random: torch.Generator) -> Tensor:
    return x


def _reverse(x: Tensor, random: torch.Generator) -> Tensor:
    """Play backward. Flow (two channels) also changes its sign: what moved right now moves left."""
    backward = x.flip(2)
    return -backward if x.shape[1] == 2 else backward


def _shuffle(x: Tensor, random: torch.Generator) -> Tensor:
    """Another order of the frames for each clip, never the order they have."""
    clips, frames = x.shape[0], x.shape[2]
    order = torch.rand(clips, frames, generator=random).argsort(1)
    in_order = (order == torch.arange(frames)).all(1, keepdim=True)
    order = torch.where(in_order, order.roll(1, 1), order).to(x.device)
    return x.gather(2, order[:, None, :, None, None].expand_as(x))


TRANSFORMS: dict[str, tuple[str, Change]] = {
    "plain": ("now", _keep),
    "reversed": ("now", _reverse),
    "shuffled": ("now", _shuffle),
    "shifted": ("shifted", _keep),
    "next": ("next", _keep),
}


def moment(view: View) -> str:
    """Which moment of the clip the view reads: now, next or shifted."""
    return TRANSFORMS[view.transform][0]


def apply(view: View, window: Tensor, random: torch.Generator) -> Tensor:
    """Make the view of a batch of windows (N, C, T, H, W) of its moment; `random` is a CPU generator."""
    return TRANSFORMS[view.transform][1](window, random)
