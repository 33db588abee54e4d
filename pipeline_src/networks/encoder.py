"""Encoders: one per modality, each giving the activations of four layers and an embedding."""

from functools import cached_property
from typing import cast

import torch
from torch import Tensor, nn

from pipeline_src.networks.normalisation import ViewSizes, normalise_per_view
from pipeline_src.networks.parallel import gather
from pipeline_src.networks.residual import SmallResNet

CHANNELS = {"rgb": 3, "flow": 2, "grey": 1, "audio": 1}


class Features:
    """What an encoder gives for N inputs of this process.

    Args:
        layers: activations of layers 1 to 4, each (N, C, ...).
        rows: which clips of this process's share of the batch these are, (N,); None for all. Audio has only clips with
            sound.
        all_rows: the same for the whole batch, of which `embedding` are.
    """

    def __init__(
        self,
        layers: tuple[Tensor, Tensor, Tensor, Tensor],
        rows: Tensor | None = None,
        all_rows: Tensor | None = None,
    ) -> None:
        self.layers = layers
        self.rows = rows
        self.all_rows = rows if all_rows is None else all_rows

    @cached_property
    def pooled(self) -> Tensor:
        """(N, D): the last layer's activations averaged over time and space."""
        return self.layers[3].flatten(2).mean(2)

    @cached_property
    def embedding(self) -> Tensor:
        """(M, D): `pooled` of the whole batch, from all processes."""
        return gather(self.pooled)


class Encoder(nn.Module):
    """A residual network of a stem and four layers, cut before its classifier.

    Args:
        network: a module with `stem` and `layer1` to `layer4`.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.views = ViewSizes()
        parts = {name: getattr(network, name) for name in ("stem", "layer1", "layer2", "layer3", "layer4")}
        self.parts = cast(nn.ModuleDict, normalise_per_view(nn.ModuleDict(parts), self.views))

    def forward(
        self, x: Tensor, sizes: tuple[int, ...] = (), plain: bool = True
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Activations of layers 1 to 4.

        Args:
            x: (N, C, T, H, W) video or (N, 1, time, mel) spectrograms, all views one after the other.
            sizes: rows of each view; () where there is one view only.
            plain: whether the first view is the plain one.
        """
        self.views.sizes, self.views.plain = sizes, plain
        x = self.parts["stem"](x)
        layers = []
        for name in ("layer1", "layer2", "layer3", "layer4"):
            x = self.parts[name](x)
            layers.append(x)
        return layers[0], layers[1], layers[2], layers[3]


def build_encoder(modality: str, architecture: str, width: int) -> Encoder:
    """An untrained encoder.

    Args:
        modality: rgb, flow, grey or audio; it sets the stem's channels.
        architecture: small_r3d, r3d_18, r2plus1d_18, r3d_50 or r2plus1d_50; audio always has the small 2D network.
        width: channels of the first layer of the small networks.
    """
    if modality == "audio":
        return Encoder(SmallResNet(1, width, dimensions=2))
    if architecture == "small_r3d":
        return Encoder(SmallResNet(CHANNELS[modality], width, dimensions=3))
    from pipeline_src.networks.torchvision_video import build_network

    return Encoder(build_network(architecture, CHANNELS[modality]))


def layer_shapes(modality: str, architecture: str, width: int, size: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Shapes (C, ...) of the activations of an encoder's four layers, without computing anything.

    Args:
        modality, architecture, width: as for build_encoder.
        size: of the input, (T, H, W), or (columns, mels) for audio.
    """
    with torch.device("meta"), torch.no_grad():
        encoder = build_encoder(modality, architecture, width).eval()
        return [tuple(layer.shape[1:]) for layer in encoder(torch.zeros(1, CHANNELS[modality], *size))]
