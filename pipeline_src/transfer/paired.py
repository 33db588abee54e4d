"""Entries held against each other on the same test clips."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

DRAWS = 10_000
COLUMNS = ("collection", "method", "entry", "other", "clips", "source_videos", "difference", "low", "high", "p")


@dataclass(frozen=True)
class Answers:
    """Which test clips of a split one network named rightly.

    Attributes:
        collection, split, entry, seed, method: of the result.
        right: (clips,) booleans; all false for a network that diverged.
        videos: (clips,) source video of each clip.
    """

    collection: str
    split: int
    entry: str
    seed: int
    method: str
    right: np.ndarray
    videos: np.ndarray


def answers_of(result: Mapping[str, Any], test: pd.DataFrame) -> Answers:
    """A transfer result against the truth.

    Args:
        result: the content of its file.
        test: test clips of its split with label and source_video, in the collection's order.
    """
    named = result["predictions"] or [None] * len(test)
    return Answers(
        collection=result["collection"],
        split=result["split"],
        entry=result["entry"],
        seed=result["seed"],
        method=result["method"],
        right=np.array(named, object) == test["label"].to_numpy(object),
        videos=test["source_video"].replace("", None).fillna(test["clip_id"]).to_numpy(str),
    )


def paired_table(found: Iterable[Answers], order: Sequence[str], seed: int) -> pd.DataFrame:
    """Every entry minus every later one by each method: top-1 over all splits and seeds, and a 95 % interval.

    The interval is a bootstrap that redraws source videos, whose clips are not independent, for both entries alike, and
    the seeds of each entry. p is two-sided: twice the smaller share of draws on either side of 0.

    Args:
        found: of all entries, splits and seeds.
        order: of the entries.
        seed: of the draws.

    Returns:
        COLUMNS; difference, low and high are fractions.
    """
    by_method: dict[tuple[str, str], list[Answers]] = {}
    for answers in found:
        by_method.setdefault((answers.collection, answers.method), []).append(answers)
    rows = []
    for (collection, method), own in by_method.items():
        entries = sorted({answers.entry for answers in own}, key=order.index)
        random = np.random.default_rng([seed, 11])
        clips, videos = _clips_of_videos(own)
        weights = random.multinomial(len(videos), np.full(len(videos), 1 / len(videos)), size=DRAWS)
        counts = np.array([clips[video] for video in videos])
        total = weights @ counts
        means, drawn = {}, {}
        for entry in entries:
            sums = _right_of_videos([answers for answers in own if answers.entry == entry], videos)
            means[entry] = sums.sum(1).mean() / counts.sum()
            seeds = random.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=DRAWS) / len(sums)
            drawn[entry] = ((weights @ sums.T) * seeds).sum(1) / total
        for one, other in itertools.combinations(entries, 2):
            gaps = drawn[one] - drawn[other]
            low, high = np.quantile(gaps, [0.025, 0.975])
            p = min(1.0, 2 * min((gaps <= 0).mean(), (gaps >= 0).mean()))
            difference = means[one] - means[other]
            values = (collection, method, one, other, int(counts.sum()), len(videos), difference, low, high, p)
            rows.append(dict(zip(COLUMNS, values, strict=True)))
    return pd.DataFrame(rows, columns=list(COLUMNS)).round(6)


def _clips_of_videos(found: Sequence[Answers]) -> tuple[dict[str, int], list[str]]:
    """Test clips of each source video over all splits, and the videos' names."""
    clips: dict[str, int] = {}
    for answers in {answers.split: answers for answers in found}.values():
        for video in answers.videos:
            clips[str(video)] = clips.get(str(video), 0) + 1
    return clips, sorted(clips)


def _right_of_videos(found: Sequence[Answers], videos: Sequence[str]) -> np.ndarray:
    """(seeds, videos) clips of each video that were named rightly, over all splits."""
    places = {video: place for place, video in enumerate(videos)}
    seeds = sorted({answers.seed for answers in found})
    sums = np.zeros((len(seeds), len(videos)))
    for answers in found:
        own = np.array([places[str(video)] for video in answers.videos])
        np.add.at(sums[seeds.index(answers.seed)], own, answers.right)
    return sums
