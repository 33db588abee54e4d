"""The evolved loss: the weighted sum of terms, with each encoder run once a step on all its views together.

    L = sum over terms of weight * scale * raw        (ELo, equation 1; scales from calibration)

The engine gathers the union of the views that the active terms need. Cost grows with distinct views, not with terms.
Everything random derives from (seed, step, name), and every part is initialised from (seed, its name), so that adding
a term leaves the values of all others as they are.
"""

import hashlib
import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pipeline_src.batches.normalise import Statistics, normalise
from pipeline_src.batches.views import View, apply, moment
from pipeline_src.networks.encoder import CHANNELS, Features, build_encoder
from pipeline_src.settings import catalogue
from pipeline_src.settings.learning import LossSettings, NetworkSettings, WindowSettings
from pipeline_src.tasks.term import Inputs, Shapes, Term


@dataclass(frozen=True)
class Losses:
    """One step's loss.

    Attributes:
        total: the weighted sum, a scalar.
        raw: each active term's own value; absent where the batch had too little for it.
    """

    total: Tensor
    raw: dict[str, Tensor]


class EvolvedLoss(nn.Module):
    """Encoders and heads of the terms with a weight above 0, and their weighted sum.

    Args:
        weights: weight of each term in [0, 1]; 0 builds nothing.
        scales: what each term is multiplied by, from calibration; missing ones are 1.
        loss: settings of the task families.
        network: architectures.
        window: sizes of the windows.
        statistics: per modality, mean and deviation of the pool.
        spectrogram: columns and mels of an audio window; None where there is no audio.
        seed: of the initialisation and of the views' transforms.
    """

    def __init__(
        self,
        *,
        weights: Mapping[str, float],
        scales: Mapping[str, float],
        loss: LossSettings,
        network: NetworkSettings,
        window: WindowSettings,
        statistics: Statistics,
        spectrogram: tuple[int, int] | None,
        seed: int,
    ) -> None:
        super().__init__()
        self.weights = {name: weights[name] for name in sorted(weights) if weights[name] > 0}
        self.factors = {name: weight * scales.get(name, 1.0) for name, weight in self.weights.items()}
        self.statistics = statistics
        self._seed = seed
        self.encoders = nn.ModuleDict()
        layers = {}
        for modality in _modalities(self.weights):
            with _seeded(seed, modality):
                encoder = build_encoder(modality, network.video, network.width)
            layers[modality] = encoder.layer_channels(_example(modality, window, spectrogram))
            self.encoders[modality] = encoder
        self._layers = layers
        painted = window.crop // network.decoder_stride
        shapes = Shapes(layers, window.frames, window.future_frames, painted, network.decoder_width)
        self._terms = nn.ModuleDict()
        for name in self.weights:
            with _seeded(seed, name):
                self._terms[_key(name)] = build_term(name, shapes, loss)
        self.encoded = _encoded(self.terms)
        self.views = tuple(sorted({view for term in self.terms.values() for view in term.targets} | set(self.encoded)))

    @property
    def terms(self) -> dict[str, Term]:
        """The active terms by name."""
        return {name: self._terms[_key(name)] for name in self.weights}  # type: ignore[misc]

    def embedding_size(self, modality: str) -> int:
        """Length of the modality's embedding."""
        return self._layers[modality][3]

    def forward(self, batch: Mapping[str, Tensor], step: int) -> Losses:
        """The loss of a batch of stored windows, on the parameters' device."""
        return self.weigh(self.inputs(batch, step))

    def inputs(self, batch: Mapping[str, Tensor], step: int) -> Inputs:
        """Make all views of a batch and encode them, one pass per modality."""
        sound = batch["has_sound"].nonzero().squeeze(1)
        made: dict[View, Tensor] = {}
        for view in self.views:
            stored = batch[f"{view.modality}.{moment(view)}"]
            if view.modality == "audio":
                stored = stored[sound]
            window = normalise(stored, view.modality, self.statistics)
            made[view] = apply(view, window, _generator(self._seed, step, str(view)))
        features: dict[View, Features] = {}
        for modality, encoder in self.encoders.items():
            views = [view for view in self.encoded if view.modality == modality]
            rows = sound if modality == "audio" else None
            features.update(_encode(encoder, views, [made[view] for view in views], rows))
        targets = {view: made[view] for term in self.terms.values() for view in term.targets}
        return Inputs(features, targets, batch["shiftable"])

    def weigh(self, inputs: Inputs) -> Losses:
        """The terms' values and their weighted sum."""
        raw = {}
        total = torch.zeros((), device=inputs.shiftable.device)
        for name, term in self.terms.items():
            value = term(inputs)
            if value is not None:
                raw[name] = value
                total = total + self.factors[name] * value
        return Losses(total, raw)


def build_term(name: str, shapes: Shapes, loss: LossSettings) -> Term:
    """The term of that name, from its family's module."""
    family = catalogue.terms()[name]
    built: Term = importlib.import_module(catalogue.module("task", family)).build(name, shapes, loss.tasks[family])
    return built


def _encode(encoder: nn.Module, views: list[View], windows: list[Tensor], rows: Tensor | None) -> dict[View, Features]:
    sizes = tuple(len(window) for window in windows)
    if min(sizes) < 2:
        # Batch statistics need two clips; terms see that there are too few and stay silent.
        a, b, c, d = (layer[:0] for layer in encoder.eval()(windows[0].new_zeros((1, *windows[0].shape[1:]))))
        encoder.train()
        empty = Features((a, b, c, d), None if rows is None else rows[:0])
        return dict.fromkeys(views, empty)
    layers = encoder(torch.cat(windows), sizes)
    parts = [layer.split(sizes) for layer in layers]
    return {view: Features((parts[0][i], parts[1][i], parts[2][i], parts[3][i]), rows) for i, view in enumerate(views)}


def _encoded(terms: Mapping[str, Term]) -> tuple[View, ...]:
    """Union of encoded views: per modality the plain one first, which every modality has for its running statistics."""
    wanted = {view for term in terms.values() for view in term.encoded}
    wanted |= {View(modality) for modality in {view.modality for view in wanted} | {"rgb"}}
    return tuple(sorted(wanted, key=lambda view: (view.modality, view.transform != "plain", view.transform)))


def _modalities(weights: Mapping[str, float]) -> list[str]:
    """Modalities that the active terms encode; rgb always, for it is the network that is kept."""
    used = {"rgb"}
    for name in weights:
        named = name.rsplit(".", 1)[0]
        if name.startswith("distill."):
            used.add(name.split(".")[1])
        else:
            used.update(named.split(">")[0].split("~"))
    return sorted(used)


def _example(modality: str, window: WindowSettings, spectrogram: tuple[int, int] | None) -> Tensor:
    if modality == "audio":
        if spectrogram is None:
            raise ValueError("audio terms need a collection with audio")
        return torch.zeros(1, 1, *spectrogram)
    return torch.zeros(1, CHANNELS[modality], window.frames, window.crop, window.crop)


def _key(name: str) -> str:
    return name.replace(".", "_dot_")


def _number(*parts: object) -> int:
    return int.from_bytes(hashlib.sha256("/".join(map(str, parts)).encode()).digest()[:6], "big")


def _generator(*parts: object) -> torch.Generator:
    return torch.Generator().manual_seed(_number(*parts))


@contextmanager
def _seeded(seed: int, name: str) -> Iterator[None]:
    """Initialise what is built inside from (seed, name), and leave the global generator as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(_number(seed, name))
        yield
