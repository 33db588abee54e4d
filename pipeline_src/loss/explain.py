"""What a loss costs before it is trained: views, parameters, operations and memory. Nothing is trained or read."""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from pipeline_src.batches.draws import Draws, generator
from pipeline_src.batches.moments import Place, draw
from pipeline_src.batches.views import View, apply, moment
from pipeline_src.loss.engine import EvolvedLoss
from pipeline_src.networks.encoder import CHANNELS, build_encoder
from pipeline_src.networks.heads import Decoder
from pipeline_src.settings.learning import NetworkSettings, TrainingSettings, WindowSettings

# Of an optimiser's state, in copies of the parameters.
STATES = {"sgd": 1, "lars": 1, "adamw": 2}
MEBIBYTE = 2**20


@dataclass(frozen=True)
class ModalityCost:
    """What one modality's encoder costs.

    Attributes:
        parameters: of the encoder.
        views: encoded with gradient, and by momentum encoders.
        ungraded: the part of the operations below that has no gradient.
        flops: of a clip's forward passes through all of its views, momentum encoders included.
        stored: bytes kept for the gradient of one clip's views.
    """

    parameters: int
    views: int
    ungraded: int
    flops: int
    stored: int


@dataclass(frozen=True)
class LossCost:
    """What a step costs.

    Attributes:
        modalities: per modality.
        heads: parameters of all terms' heads and decoders.
        decoder_flops: of a clip's forward passes through all decoders.
        decoder_stored: bytes kept for their gradient.
        window_bytes: of one clip's views as 32-bit numbers.
        queues: bytes of the terms' queues.
        followers: parameters of momentum encoders.
    """

    modalities: dict[str, ModalityCost]
    heads: int
    decoder_flops: int
    decoder_stored: int
    window_bytes: int
    queues: int
    followers: int

    @property
    def flops(self) -> int:
        """Of one clip's step: every forward pass, and twice as much for gradients, which momentum encoders lack."""
        forward = sum(cost.flops for cost in self.modalities.values()) + self.decoder_flops
        alone = sum(cost.ungraded for cost in self.modalities.values())
        return 3 * forward - 2 * alone

    def memory(self, training: TrainingSettings) -> dict[str, int]:
        """Bytes of a process by what they hold."""
        parameters = sum(cost.parameters for cost in self.modalities.values()) + self.heads
        clips = training.batch_size // training.processes
        stored = sum(cost.stored for cost in self.modalities.values()) + self.decoder_stored
        # Most of what is kept for gradients is in 16 bits then, views and batch statistics are not.
        share = 0.6 if training.autocast else 1.0
        return {
            "parameters and gradients": 8 * parameters,
            "optimiser": 4 * STATES[training.optimiser] * parameters,
            "momentum encoders": 4 * self.followers,
            "queues": self.queues,
            "views": clips * self.window_bytes,
            "activations": int(clips * stored * share),
        }


def cost_of(
    loss: EvolvedLoss, network: NetworkSettings, window: WindowSettings, spectrogram: tuple[int, int] | None
) -> LossCost:
    """Measure a loss.

    Args:
        loss: on the CPU.
        network, window, spectrogram: what it was built with.
    """
    shapes = {view: _shape(view, window, spectrogram) for view in loss.views}
    modalities = {}
    for modality, encoder in loss.encoders.items():
        encoded = [view for view in loss.encoded if view.modality == modality]
        keys = [key.view for key in loss.keys if key.view.modality == modality]
        read = {view for term in loss.terms.values() for view in term.encoded}
        silent = [view for view in encoded if view not in read]
        encoded = [view for view in encoded if view in read]
        # Views without a gradient come last: those of momentum encoders, and plain ones that no term reads.
        passes = [_encoder_pass(modality, network, shapes[view]) for view in (*encoded, *silent, *keys)]
        modalities[modality] = ModalityCost(
            parameters=_parameters(encoder),
            views=len(passes),
            ungraded=sum(flops for flops, _ in passes[len(encoded) :]),
            flops=sum(flops for flops, _ in passes),
            stored=sum(stored for _, stored in passes[: len(encoded)]),
        )
    terms = list(loss.terms.values())
    painted = []
    for term in terms:
        for decoder in (module for module in term.modules() if isinstance(module, Decoder)):
            flops, stored = _decoder_pass(decoder)
            pictures = shapes[term.encoded[0]][0]
            painted.append((pictures * flops, pictures * stored))
    return LossCost(
        modalities=modalities,
        heads=sum(_parameters(term) for term in terms),
        decoder_flops=sum(flops for flops, _ in painted),
        decoder_stored=sum(stored for _, stored in painted),
        window_bytes=sum(4 * torch.Size(shape).numel() for shape in shapes.values()),
        queues=sum(b.numel() * b.element_size() for term in terms for b in term.buffers()),
        followers=_parameters(loss.followers, learned=False),
    )


def _shape(view: View, window: WindowSettings, spectrogram: tuple[int, int] | None) -> tuple[int, ...]:
    """Shape of one clip's view, found by making it of nothing."""
    place = Place(10 * window.frames, 0, None, window)
    frames = len(draw(moment(view), place, (0, 0, 0)).frames)
    size: tuple[int, ...] = (CHANNELS[view.modality], frames, window.crop, window.crop)
    if view.modality == "audio":
        assert spectrogram is not None
        size = (1, round(spectrogram[0] * frames / window.frames), spectrogram[1])
    draws = Draws(generator(0), 1, torch.arange(1), torch.device("cpu"))
    return tuple(apply(view, torch.zeros(1, *size), draws).clips.shape)


def _encoder_pass(modality: str, network: NetworkSettings, shape: tuple[int, ...]) -> tuple[int, int]:
    """Operations and stored bytes of one clip's view; per clip of two, since batch statistics need two."""
    with torch.device("meta"):
        encoder = build_encoder(modality, network.video, network.width).train()
        x = torch.empty(2 * shape[0], *shape[1:])
    flops, stored = _measured(encoder, x)
    return flops // 2, stored // 2


def _decoder_pass(decoder: Decoder) -> tuple[int, int]:
    inputs = decoder.reduce.in_channels
    # `to` moves a module itself, and the caller's is to stay where it is.
    return _measured(copy.deepcopy(decoder).to("meta"), torch.empty(1, inputs, *decoder.places, device="meta"))


def _measured(module: nn.Module, x: Tensor) -> tuple[int, int]:
    """Operations of a forward pass, and bytes that it keeps for the gradient."""
    own = {parameter.untyped_storage()._cdata for parameter in module.parameters()}
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage()._cdata] = tensor
        return tensor

    counter = FlopCounterMode(display=False)
    with counter, torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        module(x)
    sizes = [tensor.untyped_storage().nbytes() for number, tensor in kept.items() if number not in own]
    return counter.get_total_flops(), sum(sizes)


def _parameters(module: nn.Module, learned: bool = True) -> int:
    return sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad == learned)
