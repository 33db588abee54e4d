"""Evolved against everything else: means, intervals, and whether a difference is more than noise."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from pipeline_src.report.intervals import difference, wilson

METHODS = ("kmeans", "linear", "finetune", "retrieval")
METHOD_NAMES = {"kmeans": "k-means", "linear": "1-layer", "finetune": "fine-tune", "retrieval": "R@1"}
Verdict = Literal["better", "worse", "within noise", "no interval"]


@dataclass(frozen=True)
class Score:
    """Top-1 of a row of the results table by one method, as fractions.

    Attributes:
        mean, sd: over splits and seeds; None without a result, and sd also for a single one.
        runs, failed: results with and without a value.
        test_clips: of one split on average; None where it is unknown.
        low, high: 95 % interval of the mean for that many test clips.
        floor: the larger of chance and of the share of the most frequent class; None where unknown.
    """

    mean: float | None
    sd: float | None
    runs: int
    failed: int
    test_clips: int | None
    low: float | None
    high: float | None
    floor: float | None

    @property
    def near_chance(self) -> bool:
        """Whether the interval reaches down to what needs no features."""
        return self.low is not None and self.floor is not None and self.low <= self.floor


@dataclass(frozen=True)
class Comparison:
    """Evolved minus another row by one method, as fractions.

    Attributes:
        method: kmeans, linear or finetune.
        other: label of the other row.
        evolved, against: the means.
        gap, low, high: the difference and its 95 % interval (None where it is unknown).
        verdict: better or worse when the interval excludes 0 and the gap exceeds twice the standard error over runs.
    """

    method: str
    other: str
    evolved: float
    against: float
    gap: float
    low: float | None
    high: float | None
    verdict: Verdict


@dataclass(frozen=True)
class Rival:
    """Something that evolved is held against.

    Attributes:
        label: its name on the page.
        scores: by method.
        random: whether it is the random loss.
        chosen_by_test: whether it is the best of several, picked by test results.
    """

    label: str
    scores: dict[str, Score]
    random: bool = False
    chosen_by_test: bool = False


def score(rows: pd.DataFrame) -> Score:
    """Summarise results of one collection and method: rows of `RunFacts.results`.

    Test clips are counted for one split only: splits of a set may share clips, so that this is the safe number.
    """
    values = rows["top1"].dropna()
    mean = float(values.mean()) if len(values) else None
    clips = rows.drop_duplicates("split")["test_clips"].mean()
    count = None if math.isnan(clips) else round(clips)
    low, high = wilson(mean, count) if mean is not None and count else (None, None)
    floor = rows[["chance", "majority"]].max().max()
    return Score(
        mean=mean,
        sd=float(values.std()) if len(values) > 1 else None,
        runs=len(values),
        failed=len(rows) - len(values),
        test_clips=count,
        low=low,
        high=high,
        floor=None if math.isnan(floor) else float(floor),
    )


def scores(results: pd.DataFrame, entries: Sequence[str]) -> dict[str, Score]:
    """By method, the score of all results of these entries in the table of one collection."""
    rows = results[results["entry"].isin(entries)]
    return {method: score(rows[rows["method"] == method]) for method in METHODS if (rows["method"] == method).any()}


def entries_of(results: pd.DataFrame, kind: str) -> list[str]:
    """Names of the rows of a kind, in the table's order."""
    return list(dict.fromkeys(results.loc[results["kind"] == kind, "entry"]))


def rivals(results: pd.DataFrame) -> list[Rival]:
    """What evolved is held against in one collection: all random entries together, the best single term, the rest."""
    found = []
    random, singles = entries_of(results, "random"), entries_of(results, "single")
    if random:
        label = "random loss" if len(random) == 1 else f"random loss (mean of {len(random)} draws)"
        found.append(Rival(label, scores(results, random), random=True))
    if singles:
        best = {}
        for method in METHODS:
            candidates = [scores(results, [name]).get(method) for name in singles]
            known = [item for item in candidates if item is not None and item.mean is not None]
            if known:
                best[method] = max(known, key=lambda item: item.mean or 0.0)
        label = f"single term {singles[0]}" if len(singles) == 1 else f"the best of {len(singles)} single terms"
        found.append(Rival(label, best, chosen_by_test=len(singles) > 1))
    taken = {*random, *singles, *entries_of(results, "evolved")}
    for name in dict.fromkeys(results["entry"]):
        if name not in taken:
            found.append(Rival(name, scores(results, [name])))
    return found


def compare(evolved: dict[str, Score], rival: Rival) -> list[Comparison]:
    """By every method that both have a result for."""
    found = []
    for method in METHODS:
        ours, theirs = evolved.get(method), rival.scores.get(method)
        if ours is None or theirs is None or ours.mean is None or theirs.mean is None:
            continue
        low = high = None
        if ours.test_clips and theirs.test_clips:
            low, high = difference(ours.mean, ours.test_clips, theirs.mean, theirs.test_clips)
        gap = ours.mean - theirs.mean
        found.append(
            Comparison(
                method,
                rival.label,
                ours.mean,
                theirs.mean,
                gap,
                low,
                high,
                _verdict(gap, low, high, ours, theirs),
            )
        )
    return found


def _verdict(gap: float, low: float | None, high: float | None, ours: Score, theirs: Score) -> Verdict:
    if low is None or high is None:
        return "no interval"
    error = math.sqrt(sum((s.sd or 0.0) ** 2 / s.runs for s in (ours, theirs)))
    if low <= 0 <= high or abs(gap) <= 2 * error:
        return "within noise"
    return "better" if gap > 0 else "worse"
