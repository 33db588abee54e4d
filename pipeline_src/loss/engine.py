"""The evolved loss: the weighted sum of terms, with each encoder run once a step on all its views together.

    L = sum over terms of weight * scale * raw        (ELo, equation 1; scales from calibration)

The engine gathers the union of the views that the active terms need. Cost grows with distinct views, not with terms.
Everything random derives from (seed, step, name), and every part is initialised from (seed, its name), so that adding
a term leaves the values of all others as they are.
"""

import importlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pipeline_src.batches.draws import number
from pipeline_src.batches.normalise import Statistics
from pipeline_src.batches.views import View
from pipeline_src.loss.encode import encode
from pipeline_src.loss.prepared import PreparedBatch
from pipeline_src.networks.encoder import Features, build_encoder, layer_shapes
from pipeline_src.networks.heads import follow, momentum_copy
from pipeline_src.settings import catalogue
from pipeline_src.settings.learning import LossSettings, NetworkSettings, WindowSettings
from pipeline_src.tasks.term import Inputs, Key, Momentum, Shapes, Term


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
        self.shapes = shapes_of(network, window, spectrogram)
        self._terms = nn.ModuleDict()
        for name in self.weights:
            with _seeded(seed, name):
                self._terms[_key(name)] = build_term(name, self.shapes, loss)
        terms = self.terms.values()
        self.keys = tuple(sorted({key for term in terms for key in term.keys}))
        self.encoded = _encoded({view for term in terms for view in term.encoded}, self.keys)
        targets = {view for term in terms for view in term.targets}
        self.views = tuple(sorted(targets | set(self.encoded) | {key.view for key in self.keys}))
        self.encoders = nn.ModuleDict()
        for modality in sorted({view.modality for view in self.encoded}):
            with _seeded(seed, modality):
                self.encoders[modality] = build_encoder(modality, network.video, network.width)
        self.momenta = {_momentum_key(key): key.momentum for key in self.keys}
        self.followers = nn.ModuleDict(
            {name: momentum_copy(self.encoders[name.split("_")[0]]) for name in sorted(self.momenta)}
        )
        self._channels_last = False

    @property
    def terms(self) -> dict[str, Term]:
        """The active terms by name."""
        return {name: self._terms[_key(name)] for name in self.weights}  # type: ignore[misc]

    def use_channels_last(self) -> None:
        """Keep video and its convolutions in memory with the channels innermost."""
        self._channels_last = True
        for name, encoder in [*self.encoders.items(), *self.followers.items()]:
            flat = name.startswith("audio")
            encoder.to(memory_format=torch.channels_last if flat else torch.channels_last_3d)

    def compile_encoders(self) -> None:
        """Compile the encoders on their first pass."""
        for encoder in [*self.encoders.values(), *self.followers.values()]:
            encoder.compile()

    def embedding_size(self, modality: str) -> int:
        """Length of the modality's embedding."""
        return self.shapes.embedding(modality)

    def forward(self, batch: Mapping[str, Tensor], step: int, progress: float = 0.0) -> Losses:
        """The loss of a batch of stored windows, on the parameters' device."""
        return self.weigh(self.inputs(batch, step, progress))

    def prepare(self, batch: Mapping[str, Tensor], step: int) -> PreparedBatch:
        """A batch whose views losses with the same seed and settings, but other weights, can share.

        Args:
            batch: this process's clips.
            step: number of the batch; the views' random numbers derive from it.
        """
        dtype = next(self.encoders.parameters()).dtype
        return PreparedBatch(batch, step, self._seed, self.statistics, dtype, self._channels_last)

    def inputs(self, batch: Mapping[str, Tensor] | PreparedBatch, step: int, progress: float = 0.0) -> Inputs:
        """Encode all views of a batch, one pass per modality and input shape.

        Args:
            batch: this process's clips, prepared or not.
            step: number of the batch.
            progress: how far the training is, from 0 to 1.
        """
        prepared = batch if isinstance(batch, PreparedBatch) else self.prepare(batch, step)
        features: dict[View, Features] = {}
        for modality, encoder in self.encoders.items():
            views = [view for view in self.encoded if view.modality == modality]
            rows = (prepared.sound, prepared.all_sound) if modality == "audio" else None
            features.update(encode(encoder, {view: prepared.view(view) for view in views}, rows))
        keys: dict[Key, Features] = {}
        for name, follower in self.followers.items():
            wanted = [key for key in self.keys if _momentum_key(key) == name]
            rows = (prepared.sound, prepared.all_sound) if name.startswith("audio") else None
            with torch.no_grad():
                found = encode(follower, {key.view: prepared.view(key.view) for key in wanted}, rows)
            keys.update({key: found[key.view] for key in wanted})
        return Inputs(
            features=features,
            targets={view: prepared.view(view) for term in self.terms.values() for view in term.targets},
            keys=keys,
            labels={view: prepared.label(view) for view in self.views},
            # In the same order in all processes, as everything that is gathered.
            usable={view: prepared.usable(view) for view in self.views},
            whole={view: prepared.whole(view) for view in self.views},
            sound=prepared.sound,
            clips=prepared.clips,
            videos=prepared.videos,
            classes=prepared.classes,
            progress=progress,
            seed=(self._seed, step),
            mine=prepared.mine,
        )

    def weigh(self, inputs: Inputs) -> Losses:
        """The terms' values and their weighted sum."""
        raw = {}
        total = torch.zeros((), device=inputs.videos.device)
        for name, term in self.terms.items():
            value = term(inputs)
            if value is not None:
                raw[name] = value
                total = total + self.factors[name] * value
        return Losses(total, raw)

    def remember(self, inputs: Inputs) -> None:
        """After a batch's gradient: fill the terms' queues."""
        with torch.no_grad():
            for term in self.terms.values():
                term.remember(inputs)

    def follow(self, progress: float) -> None:
        """After an optimiser's step: move momentum encoders and heads."""
        for name, momentum in self.momenta.items():
            follow(self.followers[name], self.encoders[name.split("_")[0]], momentum.at(progress))
        for term in self.terms.values():
            term.follow(progress)


def build_term(name: str, shapes: Shapes, loss: LossSettings) -> Term:
    """The term of that name, from its family's module."""
    family = catalogue.terms()[name]
    built: Term = importlib.import_module(catalogue.module("task", family)).build(name, shapes, loss.tasks[family])
    return built


def shapes_of(network: NetworkSettings, window: WindowSettings, spectrogram: tuple[int, int] | None) -> Shapes:
    """Sizes of the networks' activations."""
    layers, places = {}, {}
    for modality in ("rgb", "flow", "grey", "audio"):
        size: tuple[int, ...] | None = (window.frames, window.crop, window.crop)
        if modality == "audio":
            size = spectrogram
        if size is not None:
            found = layer_shapes(modality, network.video, network.width, size)
            a, b, c, d = (shape[0] for shape in found)
            layers[modality], places[modality] = (a, b, c, d), found[3][1:]
    return Shapes(
        layers=layers,
        places=places,
        frames=window.frames,
        future_frames=window.future_frames,
        crop=window.crop,
        decoder_width=network.decoder_width,
        stride=network.decoder_stride,
        spectrogram=spectrogram,
    )


def _encoded(wanted: set[View], keys: Sequence[Key]) -> tuple[View, ...]:
    """Encoded views: per modality the plain one first, which every modality has for its running statistics.

    A modality that only momentum encoders see has an encoder all the same, which they follow.
    """
    modalities = {view.modality for view in wanted} | {key.view.modality for key in keys} | {"rgb"}
    wanted = wanted | {View(modality) for modality in modalities}
    return tuple(sorted(wanted, key=lambda view: (view.modality, view.transform != "plain", view)))


def _momentum_key(key: Key) -> str:
    """Name of the momentum encoder behind a key; keys of one modality and momentum share it."""
    momentum: Momentum = key.momentum
    return f"{key.view.modality}_{momentum.start!r}{'_rising' if momentum.rises else ''}".replace(".", "")


def _key(name: str) -> str:
    return name.replace(".", "_dot_")


@contextmanager
def _seeded(seed: int, name: str) -> Iterator[None]:
    """Initialise what is built inside from (seed, name), and leave the global generator as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(number(seed, name))
        yield
