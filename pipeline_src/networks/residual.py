"""A small residual network for CPUs, over space and time (3D) or over a spectrogram (2D)."""

from torch import Tensor, nn
from torch.nn import functional

# Stride of the stem and of the four layers over (time, height, width): time shrinks late, so that motion is seen.
STRIDES_3D = ((1, 2, 2), (1, 2, 2), (2, 2, 2), (2, 2, 2), (1, 2, 2))
STRIDES_2D = ((2, 2), (1, 1), (2, 2), (2, 2), (2, 2))


class Block(nn.Module):
    """Two 3-wide convolutions and a shortcut (He et al. 2016, basic block)."""

    def __init__(self, inputs: int, outputs: int, stride: tuple[int, ...]) -> None:
        super().__init__()
        convolution, normalisation = _layers(len(stride))
        self.conv1 = convolution(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = normalisation(outputs)
        self.conv2 = convolution(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = normalisation(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if inputs != outputs or set(stride) != {1}:
            self.shortcut = nn.Sequential(convolution(inputs, outputs, 1, stride, bias=False), normalisation(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, ...) to (N, outputs, ...)."""
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
        strides: tuple[tuple[int, ...], ...] = STRIDES_3D if dimensions == 3 else STRIDES_2D
        convolution, normalisation = _layers(dimensions)
        self.stem = nn.Sequential(
            convolution(channels, width, 3, strides[0], 1, bias=False), normalisation(width), nn.ReLU(inplace=True)
        )
        self.layer1 = Block(width, width, strides[1])
        self.layer2 = Block(width, 2 * width, strides[2])
        self.layer3 = Block(2 * width, 4 * width, strides[3])
        self.layer4 = Block(4 * width, 8 * width, strides[4])


def _layers(dimensions: int) -> tuple[type[nn.Module], type[nn.Module]]:
    return (nn.Conv3d, nn.BatchNorm3d) if dimensions == 3 else (nn.Conv2d, nn.BatchNorm2d)
