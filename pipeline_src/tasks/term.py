"""What every term of the loss is: the views it needs, and a scalar from their features."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline_src.batches.draws import Draws, generator
from pipeline_src.batches.views import View
from pipeline_src.networks.encoder import CHANNELS, Features

TermSettings = Mapping[str, Any]


@dataclass(frozen=True)
class Shapes:
    """Sizes that heads are built for.

    Attributes:
        layers: per modality, the channels of the encoder's four layers; the last is the embedding's size.
        places: per modality, the size of the last layer's activations, (t, h, w), or (t, m) for audio.
        frames: frames of a window.
        future_frames: frames of the `next` views.
        crop: height and width in pixels of a window.
        decoder_width: channels inside the decoders.
        stride: decoders paint pictures and spectrograms this many times smaller than what they stand for.
        spectrogram: columns and mels of an audio window; None where there is no audio.
    """

    layers: Mapping[str, tuple[int, int, int, int]]
    places: Mapping[str, tuple[int, ...]]
    frames: int
    future_frames: int
    crop: int
    decoder_width: int
    stride: int
    spectrogram: tuple[int, int] | None = None

    def embedding(self, modality: str) -> int:
        """Size of the modality's embedding."""
        return self.layers[modality][3]

    def picture(self, modality: str, frames: int) -> tuple[int, tuple[int, ...]]:
        """Channels and size of a painted clip: (T, H, W), or (columns, mels) of a spectrogram as long as T frames."""
        if modality == "audio":
            if self.spectrogram is None:
                raise ValueError("audio terms need a collection with audio")
            columns, mels = self.spectrogram
            long = round(columns * frames / self.frames)
            return 1, (max(1, long // self.stride), max(1, mels // self.stride))
        return CHANNELS[modality], (frames, self.crop // self.stride, self.crop // self.stride)


@dataclass(frozen=True, order=True)
class Momentum:
    """A slowly moving copy of an encoder (He et al. 2020).

    Attributes:
        start: share of the copy that a step keeps, at the start of training.
        rises: whether that share rises to 1 along half a cosine (Grill et al. 2020).
    """

    start: float
    rises: bool = False

    def at(self, progress: float) -> float:
        """The share that a step keeps, `progress` from 0 to 1 through the training."""
        if not self.rises:
            return self.start
        return 1 - (1 - self.start) * (math.cos(math.pi * progress) + 1) / 2


@dataclass(frozen=True, order=True)
class Key:
    """A view as a momentum encoder sees it, without gradient."""

    view: View
    momentum: Momentum


@dataclass(frozen=True)
class Inputs:
    """What a term gets in one step. N clips of this process, M of the whole batch.

    Attributes:
        features: of each encoded view.
        targets: the clips of each target view, normalised, (N, C, T, H, W) or (N, 1, columns, mels).
        keys: features of each key.
        labels: per view what was drawn for it, (N, ...).
        usable: per view whether each clip is long enough for it, (M,); where its order is asked for, without padding.
        whole: per view whether each clip has all of its window, none of it filled by padding, (M,).
        sound: which clips have sound, (N',).
        clips: the clips' numbers in the collection, (M,).
        videos: numbers of the videos they stem from, (M,).
        classes: numbers of their classes, (M,); all equal in a collection without labels.
        progress: 0 at the first step, towards 1 at the last.
        seed: what the terms' own random choices derive from: seed and step.
        mine: which of the M clips are this process's, (N,) on the CPU.
    """

    features: Mapping[View, Features]
    targets: Mapping[View, Tensor]
    keys: Mapping[Key, Features] = field(default_factory=dict)
    labels: Mapping[View, Tensor] = field(default_factory=dict)
    usable: Mapping[View, Tensor] = field(default_factory=dict)
    whole: Mapping[View, Tensor] = field(default_factory=dict)
    sound: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.long))
    clips: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.long))
    videos: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.long))
    classes: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.long))
    progress: float = 0.0
    seed: tuple[int, int] = (0, 0)
    mine: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.long))

    def draws(self, *names: object, whole: bool = True) -> Draws:
        """Random numbers of a term's own, for the whole batch or for this process's clips."""
        total = len(self.videos)
        clips = torch.arange(total) if whole else self.mine
        return Draws(generator(*self.seed, *names), total, clips, self.videos.device)


@dataclass(frozen=True)
class Outcome:
    """How well a term's task is solved on a batch.

    Attributes:
        values: per example 1 or 0 for right or wrong, or an error.
        trivial: per example what chance gives, or the error of predicting the mean.
        error: whether values are errors, of which less is better.
    """

    values: Tensor
    trivial: Tensor
    error: bool = False


def accuracy(right: Tensor, chance: float) -> Outcome:
    """Right or wrong answers, (examples,), against chance."""
    return Outcome(right.float(), torch.full_like(right, chance, dtype=torch.float32))


def retrieval(queries: Tensor, keys: Tensor, videos: Tensor) -> Outcome:
    """Whether each query's nearest key, by cosine, is its own clip's; keys of its own video's other clips do not count.

    Args:
        queries, keys: (M, D).
        videos: numbers of the clips' videos, (M,).
    """
    similarity = functional.normalize(queries, dim=1) @ functional.normalize(keys, dim=1).T
    own = torch.eye(len(keys), dtype=torch.bool, device=keys.device)
    rival = videos[:, None] != videos[None, :]
    best = similarity.masked_fill(~(own | rival), -torch.inf).argmax(1)
    right = (best == torch.arange(len(best), device=best.device)).float()
    return Outcome(right, 1 / (1 + rival.sum(1)).float())


def agreement(answers: Tensor, labels: Tensor) -> Outcome:
    """Whether answers are labels, against how often they are those of the other examples (as in Cohen's kappa).

    Args:
        answers, labels: (M,), M at least 2.
    """
    same = (answers[:, None] == labels[None, :]).float()
    own = same.diagonal()
    return Outcome(own, (same.sum(1) - own) / (len(labels) - 1))


def squared_error(guess: Tensor, truth: Tensor) -> Outcome:
    """Per example the mean squared error, against that of predicting the mean, (M, ...) each, M at least 2."""
    mean = truth.mean(0, keepdim=True)
    error, trivial = ((other - truth).square().flatten(1).mean(1) for other in (guess, mean))
    return Outcome(error, unseen(trivial), error=True)


def unseen(error: Tensor) -> Tensor:
    """Squared errors (M,) of the true mean: those of the examples' own, times M / (M - 1) to be without bias."""
    return error * len(error) / (len(error) - 1)


class Term(nn.Module):
    """One weighted term of the loss.

    Attributes:
        encoded: views whose features the term reads.
        targets: views whose clips it compares with, which are not encoded for it.
        keys: views whose features it reads from a momentum encoder.
    """

    encoded: tuple[View, ...] = ()
    targets: tuple[View, ...] = ()
    keys: tuple[Key, ...] = ()

    def forward(self, inputs: Inputs) -> Tensor | None:
        """The scalar loss; None when the batch has too little for it, such as fewer than two clips with sound."""
        raise NotImplementedError

    def outcome(self, inputs: Inputs) -> Outcome | None:
        """How well the task is solved; None when the batch has too little for it."""
        raise NotImplementedError

    def remember(self, inputs: Inputs) -> None:
        """After a batch's gradient: keep what later batches are compared with. Most terms keep nothing."""

    def follow(self, progress: float) -> None:
        """After an optimiser's step: move the term's own momentum heads. Most terms have none."""


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


def embeddings(first: Features, second: Features) -> tuple[Tensor, Tensor]:
    """(M, D) embeddings of the whole batch's same clips of two modalities."""
    one, two = first.embedding, second.embedding
    if first.all_rows is None and second.all_rows is not None:
        return one[second.all_rows], two
    if second.all_rows is None and first.all_rows is not None:
        return one, two[first.all_rows]
    return one, two


def usable_rows(inputs: Inputs, *views: View) -> Tensor:
    """Numbers, in the whole batch, of clips long enough for all of the views."""
    return torch.stack([inputs.usable[view] for view in views]).all(0).nonzero().squeeze(1)


def unpadded_pairs(inputs: Inputs, first: View, second: View) -> Tensor:
    """Which rows of `embeddings` of two views are of clips that have all of both windows.

    Both are padded alike: where a clip's end comes, or comes again, would tell whether they belong together.
    """
    whole = inputs.whole[first] & inputs.whole[second]
    for view in (first, second):
        rows = inputs.features[view].all_rows
        if rows is not None:
            whole = whole[rows]
            break
    return whole.nonzero().squeeze(1)


def videos_of(inputs: Inputs, first: Features, second: Features) -> Tensor:
    """Numbers of the videos behind the rows of `embeddings(first, second)`."""
    rows = second.all_rows if first.all_rows is None else first.all_rows
    return inputs.videos if rows is None else inputs.videos[rows]


def other_video(videos: Tensor) -> Tensor:
    """For each row the number of the next one, around the end, of another video; of all alike the very next one.

    Clips of one video may look and sound alike, so they are no examples of what does not belong together.
    """
    count = len(videos)
    steps = torch.arange(count, device=videos.device)
    if count < 2:
        return steps
    away = (steps[None] - steps[:, None]) % count
    away = away.masked_fill(away == 0, 2 * count) + count * (videos[:, None] == videos[None])
    return away.argmin(1)


def modality_of(name: str) -> str:
    """`rgb` of `rgb.shuffle`."""
    return name.split(".", 1)[0]


def pair_of(name: str, sign: str) -> tuple[str, str]:
    """`rgb`, `flow` of `rgb>flow.translate`."""
    first, second = name.rsplit(".", 1)[0].split(sign)
    return first, second
