"""Evolved against everything else, from the tables of means and of pairs: whether a difference is more than noise."""

from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from pipeline_src.transfer.intervals import FEWEST_VIDEOS
from pipeline_src.transfer.summaries import RANDOM_LOSSES

METHOD_NAMES = {"kmeans": "k-means", "linear": "1-layer", "finetune": "fine-tune", "retrieval": "R@1", "knn": "k-NN"}
METHODS = tuple(METHOD_NAMES)
Verdict = Literal["better", "worse", "within noise", "too few source videos", "too few seeds left"]


@dataclass(frozen=True)
class Score:
    """Top-1 of a row of the results table by one method, as fractions: a line of the run's summary.csv.

    Attributes:
        mean, sd: over splits and seeds; None without a result, and sd also for a single one.
        results, failed: with and without a value.
        splits, all_splits: with a result, and how many any row was tested on.
        source_videos: of the test clips.
        low, high: 95 % interval of the mean; None with too few source videos, or too few seeds left.
        floor: the larger of chance and of the share of the most frequent class.
    """

    mean: float | None
    sd: float | None
    results: int
    failed: int
    splits: int
    all_splits: int
    source_videos: int
    low: float | None
    high: float | None
    floor: float

    @property
    def near_chance(self) -> bool:
        """Whether the interval reaches down to what needs no features."""
        return self.low is not None and self.low <= self.floor

    @property
    def partial(self) -> bool:
        """Whether it has no result on some split."""
        return self.splits < self.all_splits

    @property
    def without_interval(self) -> str:
        """Why a mean has none; "" where it has one, or is none."""
        return why_no_interval(self.source_videos) if self.mean is not None and self.low is None else ""


@dataclass(frozen=True)
class Comparison:
    """One row minus another by one method, as fractions.

    Attributes:
        method: one of METHODS.
        splits, all_splits: that both have a result of, and how many any row was tested on.
        source_videos: of the test clips of the former.
        ours, against: the means on them.
        gap, low, high, p: the difference, its 95 % interval and two-sided p (None where one of the two has none).
    """

    method: str
    splits: int
    all_splits: int
    source_videos: int
    ours: float
    against: float
    gap: float
    low: float | None
    high: float | None
    p: float | None

    @property
    def verdict(self) -> Verdict:
        """Better or worse when the interval excludes 0."""
        if self.low is None or self.high is None:
            return why_no_interval(self.source_videos)
        if self.low <= 0 <= self.high:
            return "within noise"
        return "better" if self.gap > 0 else "worse"

    @property
    def partial(self) -> bool:
        """Whether one of the two has no result on some split."""
        return self.splits < self.all_splits


@dataclass(frozen=True)
class Rival:
    """Something that evolved is held against.

    Attributes:
        label: its name on the page.
        methods: that it ought to have a result of.
        rows: by method, the row of the summary that it is.
        random: whether it is the random loss.
        chosen_by_test: whether it is the best of several, picked by test results.
    """

    label: str
    methods: tuple[str, ...]
    rows: dict[str, str]
    random: bool = False
    chosen_by_test: bool = False


def why_no_interval(source_videos: int) -> Literal["too few source videos", "too few seeds left"]:
    """Of a mean or difference that has none, by how many source videos it is tested on."""
    return "too few source videos" if source_videos < FEWEST_VIDEOS else "too few seeds left"


def lineup_of(summary: pd.DataFrame, collection: str) -> pd.DataFrame:
    """One collection's part of the summary without rows that several entries share."""
    return summary[(summary["collection"] == collection) & (summary["entry"] != RANDOM_LOSSES)]


def scores(summary: pd.DataFrame, row: str) -> dict[str, Score]:
    """By method, the scores of a row in the summary of one collection."""
    found = {}
    for line in summary[summary["entry"] == row].to_dict("records"):
        counts = {name: int(line[name]) for name in ("results", "failed", "splits", "all_splits", "source_videos")}
        values = {name: _known(line[name]) for name in ("mean", "sd", "low", "high")}
        found[str(line["method"])] = Score(**counts, **values, floor=float(line["floor"]))  # type: ignore[arg-type]
    return {method: found[method] for method in METHODS if method in found}


def entries_of(summary: pd.DataFrame, kind: str) -> list[str]:
    """Names of the entries of a kind, in the table's order."""
    return [name for name in dict.fromkeys(summary.loc[summary["kind"] == kind, "entry"]) if name != RANDOM_LOSSES]


def rivals(summary: pd.DataFrame, ours: str) -> list[Rival]:
    """What a row is held against in one collection: all random entries together, the best single term, the rest.

    The best of several single terms is one of those with a result on every split; without one, it has no row.
    """
    found = []
    random, singles = entries_of(summary, "random"), entries_of(summary, "single")
    if random:
        label = "random loss" if len(random) == 1 else f"random loss (mean of {len(random)} draws)"
        row = random[0] if len(random) == 1 else RANDOM_LOSSES
        found.append(_rival(summary, label, row, random=True))
    if len(singles) == 1:
        found.append(_rival(summary, f"single term {singles[0]}", singles[0]))
    elif singles:
        own = summary[summary["entry"].isin(singles)]
        reached = own[own["mean"].notna() & (own["splits"] == own["all_splits"])]
        best = reached.sort_values("mean", ascending=False, kind="stable").drop_duplicates("method")
        rows = dict(zip(best["method"], best["entry"], strict=True))
        label = f"the best of {len(singles)} single terms"
        found.append(Rival(label, _methods(own), rows, chosen_by_test=True))
    taken = {*random, *singles, RANDOM_LOSSES, ours}
    names = [name for name in dict.fromkeys(summary["entry"]) if name not in taken]
    return found + [_rival(summary, name, name) for name in names]


def against(summary: pd.DataFrame, paired: pd.DataFrame, ours: str, row: str) -> dict[str, Comparison]:
    """One row minus another by every method that both have a result of, from the tables of one collection."""
    one = scores(summary, ours)
    found = {}
    for first, second, sign in ((ours, row, 1), (row, ours, -1)):
        for line in paired[(paired["entry"] == first) & (paired["other"] == second)].to_dict("records"):
            method = str(line["method"])
            means = [line["top1"], line["other_top1"]][::sign]
            bounds = [sign * line["low"], sign * line["high"]][::sign]
            found[method] = Comparison(
                method=method,
                splits=int(line["splits"]),
                all_splits=one[method].all_splits,
                source_videos=int(line["source_videos"]),
                ours=means[0],
                against=means[1],
                gap=sign * line["difference"],
                low=_known(bounds[0]),
                high=_known(bounds[1]),
                p=_known(line["p"]),
            )
    return {method: found[method] for method in METHODS if method in found}


def compare(summary: pd.DataFrame, paired: pd.DataFrame, ours: str, rival: Rival) -> list[Comparison]:
    """The same with what a row is held against."""
    found = {row: against(summary, paired, ours, row) for row in set(rival.rows.values())}
    return [found[rival.rows[m]][m] for m in METHODS if m in rival.rows and m in found[rival.rows[m]]]


def _rival(summary: pd.DataFrame, label: str, row: str, *, random: bool = False) -> Rival:
    methods = _methods(summary[summary["entry"] == row])
    return Rival(label, methods, dict.fromkeys(methods, row), random)


def _methods(lines: pd.DataFrame) -> tuple[str, ...]:
    """That lines of the summary are about, failed or not."""
    found = set(lines["method"])
    return tuple(method for method in METHODS if method in found)


def _known(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)
