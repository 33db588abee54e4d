"""torchvision's video residual networks with stems of 1, 2 or 3 channels.

In a module of its own because importing torchvision takes longer than training the small network for a while.
"""

from torch import nn
from torchvision.models.video import resnet

# Name: block, convolution, stem, blocks per layer. The 50-layer ones are (2+1)D and 3D forms of ResNet-50, whose stem
# ends with a pooling of pictures; without it they would take four times the operations and memory.
ARCHITECTURES = {
    "r3d_18": (resnet.BasicBlock, resnet.Conv3DSimple, resnet.BasicStem, [2, 2, 2, 2]),
    "r2plus1d_18": (resnet.BasicBlock, resnet.Conv2Plus1D, resnet.R2Plus1dStem, [2, 2, 2, 2]),
    "r3d_50": (resnet.Bottleneck, resnet.Conv3DSimple, resnet.BasicStem, [3, 4, 6, 3]),
    "r2plus1d_50": (resnet.Bottleneck, resnet.Conv2Plus1D, resnet.R2Plus1dStem, [3, 4, 6, 3]),
}


def build_network(architecture: str, channels: int) -> nn.Module:
    """An untrained VideoResNet whose stem takes `channels` channels."""
    block, convolution, stem, blocks = ARCHITECTURES[architecture]
    network = resnet.VideoResNet(block=block, conv_makers=[convolution] * 4, layers=blocks, stem=stem)
    first = network.stem[0]
    if channels != first.in_channels:
        replaced = nn.Conv3d(
            channels, first.out_channels, first.kernel_size, first.stride, first.padding, bias=first.bias is not None
        )
        nn.init.kaiming_normal_(replaced.weight, mode="fan_out", nonlinearity="relu")
        network.stem[0] = replaced
    if architecture.endswith("_50"):
        network.stem.append(nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)))
    return network
