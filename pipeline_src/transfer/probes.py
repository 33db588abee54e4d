"""Probes of time: does an embedding tell how a window is played, and how two windows of a clip lie to each other?

    motion    one window is played forward, backward, twice as fast, or there and back: which?
    overlap   two windows of a clip overlap, the second earlier or later by a quarter or half a window: by how much?
    order     two windows of a clip do not overlap: which is earlier?
    speed     trained to tell 1x from 2x, a score is read off 0.5x and 4x, which it never saw

One layer on frozen embeddings, as for classes; of two windows their embeddings stand side by side. The first three
follow Jenni, Meishvili and Favaro 2020 (Video Representation Learning by Recognizing Temporal Transformations), in the
forms that TransRank's authors name; the last is TransRank's own. Clips too short for a probe's widest window take no
part in it: their padding would be the answer.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from pipeline_src.settings.transfer import LinearSettings
from pipeline_src.transfer.linear import fit_layer, predict_by_layer
from pipeline_src.transfer.split import LabelledVectors, standardised

PROBES = ("motion", "overlap", "order", "speed")
SPEEDS = (0.5, 1.0, 2.0, 4.0)
# What the speed probe learns from.
SEEN = (1.0, 2.0)


@dataclass(frozen=True)
class Example:
    """One or two windows of a clip, as frame numbers (T,) each, and what is to be told about them."""

    windows: tuple[np.ndarray, ...]
    label: str


def examples(probe: str, length: int, frames: int, random: np.random.Generator) -> list[Example]:
    """What a probe asks about a clip; nothing where it is too short.

    Args:
        probe: one of PROBES.
        length: frames of the clip.
        frames: T, of a window.
        random: of where windows lie.
    """
    return list(
        {"motion": _motion, "overlap": _overlap, "order": _order, "speed": _speed}[probe](length, frames, random)
    )


def _motion(length: int, frames: int, random: np.random.Generator) -> Iterator[Example]:
    steps = np.arange(frames)
    ways = {
        "forward": steps,
        "backward": steps[::-1],
        "fast": 2 * steps,
        "there and back": _there_and_back(frames),
    }
    if length < 2 * frames - 1:
        return
    for name, offsets in ways.items():
        yield Example((_start(length, 2 * frames - 1, random) + offsets,), name)


def _there_and_back(frames: int) -> np.ndarray:
    half = np.arange((frames + 1) // 2)
    return np.concatenate([half, half[::-1][frames % 2 :]])


def _overlap(length: int, frames: int, random: np.random.Generator) -> Iterator[Example]:
    half, quarter = frames // 2, frames // 4
    if length < frames + 2 * half or quarter == 0:
        return
    for shift, name in ((-half, "half earlier"), (-quarter, "earlier"), (quarter, "later"), (half, "half later")):
        # The first window lies where all others would fit, or its place in the clip would tell.
        first = half + _start(length - 2 * half, frames, random) + np.arange(frames)
        yield Example((first, first + shift), name)


def _order(length: int, frames: int, random: np.random.Generator) -> Iterator[Example]:
    if length < 2 * frames:
        return
    for name in ("first", "second"):
        gap = int(random.integers(length - 2 * frames + 1))
        early = _start(length, 2 * frames + gap, random) + np.arange(frames)
        late = early + frames + gap
        yield Example((early, late) if name == "first" else (late, early), name)


def _speed(length: int, frames: int, random: np.random.Generator) -> Iterator[Example]:
    widest = int(SPEEDS[-1] * (frames - 1)) + 1
    if length < widest:
        return
    for speed in SPEEDS:
        offsets = np.floor(speed * np.arange(frames)).astype(int)
        yield Example((_start(length, int(offsets[-1]) + 1, random) + offsets,), f"{speed:g}x")


def _start(length: int, span: int, random: np.random.Generator) -> int:
    return int(random.integers(length - span + 1))


def evaluate_probe(
    probe: str,
    lengths: np.ndarray,
    split: LabelledVectors,
    frames: int,
    embed: Callable[[np.ndarray, np.ndarray], np.ndarray],
    linear: LinearSettings,
    seed: int,
) -> dict[str, Any]:
    """What one layer reaches on test clips.

    Args:
        probe: one of PROBES.
        lengths: (N,) frames of each clip.
        split: the clips' parts and source videos; neither vectors nor classes are looked at.
        frames: of a window.
        embed: gets numbers of clips (M,), 0 to N - 1, and frame numbers (M, T), and gives embeddings (M, D).
        linear: values of C.
        seed: of the windows' places and of the validation part.

    Returns:
        probe, top1 (None where too few clips are long enough), chance, train_examples, test_examples, reason; for speed
        also `scores`, the mean log-odds of 2x against 1x over test clips by speed in units of their deviation at 1x,
        and `rank_correlation`, Spearman's of speed and score.
    """
    random = np.random.default_rng([seed, 17, PROBES.index(probe)])
    found = [(clip, one) for clip, length in enumerate(lengths) for one in examples(probe, int(length), frames, random)]
    clips = np.array([clip for clip, _ in found], int)
    labels = np.array([one.label for _, one in found], str)
    parts = split.parts[clips]
    base: dict[str, Any] = {"probe": probe, "top1": None, "chance": None, "train_examples": 0, "test_examples": 0}
    seen = np.isin(labels, [f"{speed:g}x" for speed in SEEN]) if probe == "speed" else np.ones(len(labels), bool)
    if len(set(clips[parts != "test"])) < 2 or not (parts == "test").any():
        return {**base, "reason": "too few clips are long enough"}
    windows = list(zip(*(one.windows for _, one in found), strict=True))
    vectors = np.hstack([embed(clips, np.array(window)) for window in windows])
    if not np.isfinite(vectors).all():
        return {**base, "reason": "embeddings are not finite"}
    data = standardised(
        LabelledVectors(split.collection, split.split, vectors.astype(np.float64), labels, parts, split.groups[clips])
    )
    own = LabelledVectors(data.collection, data.split, data.vectors[seen], labels[seen], parts[seen], data.groups[seen])
    prediction = predict_by_layer(own, linear, seed)
    truth = own.labels[own.pick("test")]
    result = {
        **base,
        "top1": round(float((prediction.labels == truth).mean()), 6),
        "chance": round(1 / len(set(own.labels)), 6),
        "train_examples": prediction.train_clips,
        "test_examples": len(truth),
        "reason": "",
    }
    if probe == "speed":
        result |= _speediness(data, seen, prediction.details["inverse_regularisation"])
    return result


def _speediness(data: LabelledVectors, seen: np.ndarray, inverse_regularisation: float) -> dict[str, Any]:
    training = data.pick("train", "validation") & seen
    model = fit_layer(data, training, inverse_regularisation)
    test = data.pick("test")
    # Log-odds of the second class in the order of names, 2x.
    scores, labels = model.decision_function(data.vectors[test]), data.labels[test]
    deviation = float(scores[labels == "1x"].std()) or 1.0
    speeds = np.array([float(label.removesuffix("x")) for label in labels])
    means = {f"{speed:g}x": round(float(scores[speeds == speed].mean()) / deviation, 6) for speed in SPEEDS}
    rho = float(spearmanr(speeds, scores).statistic) if np.ptp(scores) > 0 else 0.0
    return {"scores": means, "rank_correlation": round(rho, 6)}
