"""Evolved against everything else, from the tables of means and of pairs: whether a difference is more than noise."""

from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from pipeline_src.transfer.summaries import RANDOM_LOSSES

METHODS = ("kmeans", "linear", "finetune", "retrieval")
METHOD_NAMES = {"kmeans": "k-means", "linear": "1-layer", "finetune": "fine-tune", "retrieval": "R@1"}
Verdict = Literal["better", "worse", "within noise", "too few source videos"]


@dataclass(frozen=True)
class Score:
    """Top-1 of a row of the results table by one method, as fractions: a line of the run's summary.csv.

    Attributes:
        mean, sd: over splits and seeds; None without a result, and sd also for a single one.
        results, failed: with and without a value.
        source_videos: of the test clips.
        low, high: 95 % interval of the mean; None with too few source videos.
        floor: the larger of chance and of the share of the most frequent class.
    """

    mean: float | None
    sd: float | None
    results: int
    failed: int
    source_videos: int
    low: float | None
    high: float | None
    floor: float

    @property
    def near_chance(self) -> bool:
        """Whether the interval reaches down to what needs no features."""
        return self.low is not None and self.low <= self.floor


@dataclass(frozen=True)
class Comparison:
    """One row minus another by one method, as fractions.

    Attributes:
        method: one of METHODS.
        ours, against: the means.
        gap, low, high, p: the difference, its 95 % interval and two-sided p (None with too few source videos).
    """

    method: str
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
            return "too few source videos"
        if self.low <= 0 <= self.high:
            return "within noise"
        return "better" if self.gap > 0 else "worse"


@dataclass(frozen=True)
class Rival:
    """Something that evolved is held against.

    Attributes:
        label: its name on the page.
        rows: by method, the row of the summary that it is.
        random: whether it is the random loss.
        chosen_by_test: whether it is the best of several, picked by test results.
    """

    label: str
    rows: dict[str, str]
    random: bool = False
    chosen_by_test: bool = False


def lineup_of(summary: pd.DataFrame, collection: str) -> pd.DataFrame:
    """One collection's part of the summary without rows that several entries share."""
    return summary[(summary["collection"] == collection) & (summary["entry"] != RANDOM_LOSSES)]


def scores(summary: pd.DataFrame, row: str) -> dict[str, Score]:
    """By method, the scores of a row in the summary of one collection."""
    found = {}
    for line in summary[summary["entry"] == row].to_dict("records"):
        counts = {name: int(line[name]) for name in ("results", "failed", "source_videos")}
        values = {name: _known(line[name]) for name in ("mean", "sd", "low", "high")}
        found[str(line["method"])] = Score(**counts, **values, floor=float(line["floor"]))  # type: ignore[arg-type]
    return {method: found[method] for method in METHODS if method in found}


def entries_of(summary: pd.DataFrame, kind: str) -> list[str]:
    """Names of the entries of a kind, in the table's order."""
    return [name for name in dict.fromkeys(summary.loc[summary["kind"] == kind, "entry"]) if name != RANDOM_LOSSES]


def rivals(summary: pd.DataFrame, ours: str) -> list[Rival]:
    """What a row is held against in one collection: all random entries together, the best single term, the rest."""
    found = []
    random, singles = entries_of(summary, "random"), entries_of(summary, "single")
    if random:
        label = "random loss" if len(random) == 1 else f"random loss (mean of {len(random)} draws)"
        row = random[0] if len(random) == 1 else RANDOM_LOSSES
        found.append(Rival(label, dict.fromkeys(METHODS, row), random=True))
    if singles:
        reached = summary[summary["entry"].isin(singles) & summary["mean"].notna()]
        best = reached.sort_values("mean", ascending=False, kind="stable").drop_duplicates("method")
        label = f"single term {singles[0]}" if len(singles) == 1 else f"the best of {len(singles)} single terms"
        found.append(
            Rival(label, dict(zip(best["method"], best["entry"], strict=True)), chosen_by_test=len(singles) > 1)
        )
    taken = {*random, *singles, RANDOM_LOSSES, ours}
    names = [name for name in dict.fromkeys(summary["entry"]) if name not in taken]
    return found + [Rival(name, dict.fromkeys(METHODS, name)) for name in names]


def against(summary: pd.DataFrame, paired: pd.DataFrame, ours: str, row: str) -> dict[str, Comparison]:
    """One row minus another by every method that both have a result of, from the tables of one collection."""
    one, other = scores(summary, ours), scores(summary, row)
    found = {}
    for first, second, sign in ((ours, row, 1), (row, ours, -1)):
        for line in paired[(paired["entry"] == first) & (paired["other"] == second)].to_dict("records"):
            method = str(line["method"])
            bounds = [sign * line["low"], sign * line["high"]][::sign]
            found[method] = Comparison(
                method=method,
                ours=one[method].mean or 0.0,
                against=other[method].mean or 0.0,
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


def _known(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)
