"""What every term of the loss is: the views it needs, and a scalar from their features."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pipeline_src.batches.views import View
from pipeline_src.networks.encoder import CHANNELS, Features


@dataclass(frozen=True)
class Shapes:
    """Sizes that heads are built for.

    Attributes:
        layers: per modality, the channels of the encoder's four layers; the last is the embedding's size.
        frames: frames of a window.
        future_frames: frames of the `next` views.
        painted: height and width in pixels of the decoders' pictures.
        decoder_width: channels inside the decoders.
    """

    layers: Mapping[str, tuple[int, int, int, int]]
    frames: int
    future_frames: int
    painted: int
    decoder_width: int

    def embedding(self, modality: str) -> int:
        """Size of the modality's embedding."""
        return self.layers[modality][3]

    def picture(self, modality: str, frames: int) -> tuple[int, tuple[int, int, int]]:
        """Channels and (T, H, W) of a painted clip."""
        return CHANNELS[modality], (frames, self.painted, self.painted)


@dataclass(frozen=True)
class Inputs:
    """What a term gets in one step.

    Attributes:
        features: of each encoded view.
        targets: the clips of each target view, normalised, (N, C, T, H, W).
        shiftable: (batch,) whether the clip is long enough for its `shifted` views to lie at another time.
    """

    features: Mapping[View, Features]
    targets: Mapping[View, Tensor]
    shiftable: Tensor


class Term(nn.Module):
    """One weighted term of the loss.

    Attributes:
        encoded: views whose features the term reads.
        targets: views whose clips it compares with, which are not encoded for it.
    """

    encoded: tuple[View, ...] = ()
    targets: tuple[View, ...] = ()

    def forward(self, inputs: Inputs) -> Tensor | None:
        """The scalar loss; None when the batch has too little for it, such as fewer than two clips with sound."""
        raise NotImplementedError


def matching(first: Features, second: Features) -> tuple[Features, Features]:
    """The same clips of two modalities: where one lacks clips (audio without sound), the other is cut to its rows."""
    if first.rows is None and second.rows is not None:
        return take(first, second.rows), second
    if second.rows is None and first.rows is not None:
        return first, take(second, first.rows)
    return first, second


def take(features: Features, rows: Tensor) -> Features:
    """Some rows of features."""
    a, b, c, d = (layer[rows] for layer in features.layers)
    return Features((a, b, c, d), rows)


def other_clip(tensor: Tensor) -> Tensor:
    """Row i + 1 in the place of row i: a feature of another clip."""
    return torch.roll(tensor, 1, dims=0)


def modality_of(name: str) -> str:
    """`rgb` of `rgb.shuffle`."""
    return name.split(".", 1)[0]


def pair_of(name: str, sign: str) -> tuple[str, str]:
    """`rgb`, `flow` of `rgb>flow.translate`."""
    first, second = name.rsplit(".", 1)[0].split(sign)
    return first, second


TermSettings = Mapping[str, Any]
