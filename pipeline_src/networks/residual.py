"""A small residual network for CPUs, over space and time (3D) or over a spectrogram (2D).

It has no strided convolutions: their gradient takes CPUs ten times as long as the forward pass, against twice for
plain ones. Pictures are folded into channels at the stem, and layers begin by averaging neighbours.

Half of a video's stem sees what changes from frame to frame. A network could learn to take such differences, but what
moves is little beside what stands still, and in the few thousand steps that a CPU affords it often does not begin to.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

# What the stem folds into channels, and what layers 1 to 4 average, over (time, height, width) or (time, mel). Time
# shrinks once, in layer 3: averaged in layer 2, too, nothing told a clip that played backward.
FOLD_3D, POOLS_3D = (1, 4, 4), ((1, 1, 1), (1, 2, 2), (2, 2, 2), (1, 2, 2))
FOLD_2D, POOLS_2D = (2, 2), ((2, 2), (2, 2), (2, 2), (1, 1))


class Fold(nn.Module):
    """Neighbouring values become channels: (N, C, T, H, W) to (N, C * t * h * w, T / t, H / h, W / w).

    What does not fill a whole neighbourhood at an axis' end is filled with zeros.
    """

    def __init__(self, size: tuple[int, ...]) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """Fold the axes after the channels."""
        for axis, factor in enumerate(self.size, 2):
            if factor > 1:
                missing = -x.shape[axis] % factor
                if missing:
                    padding = [0, 0] * (x.dim() - axis - 1) + [0, missing]
                    x = functional.pad(x, padding)
                x = x.unflatten(axis, (-1, factor)).movedim(axis + 1, 2).flatten(1, 2)
        return x.contiguous()


class FramesAndChanges(nn.Module):
    """Two convolutions: one over frames, one over each frame's difference to the one before it (0 at the first).

    Args:
        inputs: channels of the input.
        outputs: channels of both convolutions' outputs together.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.frames = nn.Conv3d(inputs, outputs // 2, 3, 1, 1, bias=False)
        self.changes = nn.Conv3d(inputs, outputs - outputs // 2, 3, 1, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, T, H, W) to (N, outputs, T, H, W), the frames' channels first."""
        return torch.cat([self.frames(x), self.changes(torch.diff(x, dim=2, prepend=x[:, :, :1]))], 1)


class Block(nn.Module):
    """Averaging, then two 3-wide convolutions and a shortcut (He et al. 2016, basic block)."""

    def __init__(self, inputs: int, outputs: int, pool: tuple[int, ...]) -> None:
        super().__init__()
        convolution, normalisation = _layers(len(pool))
        self.pool = pool
        self.conv1 = convolution(inputs, outputs, 3, 1, 1, bias=False)
        self.norm1 = normalisation(outputs)
        self.conv2 = convolution(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = normalisation(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if inputs != outputs:
            self.shortcut = nn.Sequential(convolution(inputs, outputs, 1, bias=False), normalisation(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, ...) to (N, outputs, ...)."""
        x = _averaged(x, self.pool)
        y = functional.relu(self.norm1(self.conv1(x)), inplace=True)
        return functional.relu(self.norm2(self.conv2(y)) + self.shortcut(x), inplace=True)


class SmallResNet(nn.Module):
    """A stem and four layers of one block each, with `width`, 2, 4 and 8 times `width` channels.

    Args:
        channels: channels of the input.
        width: channels of the first layer.
        dimensions: 3 for video (N, C, T, H, W), 2 for spectrograms (N, C, time, mel).
    """

    def __init__(self, channels: int, width: int, dimensions: int) -> None:
        super().__init__()
        fold: tuple[int, ...] = FOLD_3D if dimensions == 3 else FOLD_2D
        pools: tuple[tuple[int, ...], ...] = POOLS_3D if dimensions == 3 else POOLS_2D
        convolution, normalisation = _layers(dimensions)
        folded = channels
        for factor in fold:
            folded *= factor
        first: nn.Module = convolution(folded, width, 3, 1, 1, bias=False)
        if dimensions == 3:
            first = FramesAndChanges(folded, width)
        self.stem = nn.Sequential(Fold(fold), first, normalisation(width), nn.ReLU(inplace=True))
        self.layer1 = Block(width, width, pools[0])
        self.layer2 = Block(width, 2 * width, pools[1])
        self.layer3 = Block(2 * width, 4 * width, pools[2])
        self.layer4 = Block(4 * width, 8 * width, pools[3])


def _averaged(x: Tensor, pool: tuple[int, ...]) -> Tensor:
    """Average neighbourhoods of that size; an axis shorter than them is averaged whole."""
    size = [min(wanted, there) for wanted, there in zip(pool, x.shape[2:], strict=True)]
    if set(size) == {1}:
        return x
    return functional.avg_pool3d(x, size) if len(size) == 3 else functional.avg_pool2d(x, size)


def _layers(dimensions: int) -> tuple[type[nn.Module], type[nn.Module]]:
    return (nn.Conv3d, nn.BatchNorm3d) if dimensions == 3 else (nn.Conv2d, nn.BatchNorm2d)
