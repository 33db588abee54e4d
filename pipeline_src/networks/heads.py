"""Light decoders and heads on top of encoders."""

import copy
import math

import torch
from torch import Tensor, nn
from torch.nn import functional


class Decoder(nn.Module):
    """Paints a clip or a spectrogram from the last layer's activations.

    Each place is unfolded into its neighbourhood through a narrow layer (sub-pixel convolution, Shi et al. 2016), then
    two convolutions with an enlargement between them paint. SiLU between them, since rectifiers died at rates at which
    encoders learn well.

    Args:
        inputs: channels of the activations.
        places: their (t, h, w), or (t, m) of a spectrogram.
        width: channels inside.
        outputs: channels of the picture.
        shape: (T, H, W) of the picture, or (columns, mels). For a spectrogram from video, activations are averaged
            over their pictures first.
    """

    def __init__(self, inputs: int, places: tuple[int, ...], width: int, outputs: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.places = places
        self.flat = len(places) > len(shape)
        if self.flat:
            places = (places[0], 1)
        self.shape = shape
        self.middle = (shape[0], *(max(1, size // 2) for size in shape[1:]))
        self.factors = tuple(math.ceil(want / have) for want, have in zip(self.middle, places, strict=True))
        convolution = nn.Conv3d if len(shape) == 3 else nn.Conv2d
        self.reduce = convolution(inputs, 4 * width, 1)
        self.unfold = convolution(4 * width, width * math.prod(self.factors), 1)
        self.refine = convolution(width, width, 3, padding=1)
        self.paint = convolution(width, outputs, 3, padding=1)

    def forward(self, activations: Tensor) -> Tensor:
        """(N, inputs, *places) to (N, outputs, *shape)."""
        if self.flat:
            activations = activations.mean((3, 4))[..., None]
        x = functional.silu(self.reduce(activations))
        x = functional.silu(unfolded(self.unfold(x), self.factors))
        x = functional.silu(self.refine(resized(x, self.middle)))
        return self.paint(resized(x, self.shape))


def unfolded(x: Tensor, factors: tuple[int, ...]) -> Tensor:
    """Channels into neighbourhoods: (N, C * product of factors, t, ...) to (N, C, t * factor, ...)."""
    dimensions = len(factors)
    x = x.unflatten(1, (-1, *factors))
    order = [0, 1]
    for axis in range(dimensions):
        order += [2 + dimensions + axis, 2 + axis]
    x = x.permute(order)
    for axis in range(dimensions):
        x = x.flatten(2 + axis, 3 + axis)
    return x


def resized(x: Tensor, size: tuple[int, ...]) -> Tensor:
    """The nearest neighbours at another size."""
    return x if tuple(x.shape[2:]) == size else functional.interpolate(x, size, mode="nearest")


class Classifier(nn.Sequential):
    """(N, inputs) to (N, outputs) logits through one hidden layer."""

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__(nn.Linear(inputs, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, outputs))


class Projector(nn.Sequential):
    """(N, inputs) to (N, outputs) through one hidden layer, with batch normalisation behind it where wanted."""

    def __init__(self, inputs: int, hidden: int, outputs: int, normalised: bool = False) -> None:
        middle = [nn.BatchNorm1d(hidden)] if normalised else []
        super().__init__(nn.Linear(inputs, hidden), *middle, nn.ReLU(inplace=True), nn.Linear(hidden, outputs))


def momentum_copy(module: nn.Module) -> nn.Module:
    """A copy without gradient, to follow the module."""
    return copy.deepcopy(module).requires_grad_(False)


@torch.no_grad()
def follow(copy: nn.Module, module: nn.Module, keep: float) -> None:
    """Move the copy's parameters towards the module's, keeping `keep` of them."""
    torch._foreach_lerp_(list(copy.parameters()), list(module.parameters()), 1 - keep)
