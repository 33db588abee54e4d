"""What each row of the lineup reaches on average, and rows against each other, as tables."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline_src.transfer.answers import Answers
from pipeline_src.transfer.intervals import Accuracy, accuracy, difference, interval
from pipeline_src.transfer.results import method_order

RANDOM_LOSSES = "random losses"
"""Row of all entries of kind random together, where there are several: no entry can have a space in its name."""
SUMMARY = (
    "collection", "entry", "kind", "method", "results", "failed", "seeds", "splits", "clips", "source_videos",
    "floor", "mean", "sd", "low", "high",
)  # fmt: skip
PAIRED = ("collection", "method", "entry", "other", "clips", "source_videos", "difference", "low", "high", "p")


@dataclass(frozen=True)
class Row:
    """Results of one method on one collection that stand in one row.

    Attributes:
        collection, method, entry, kind: of the row.
        entries: that it is made of.
        known: results of all seeds and splits.
        failed: how many gave none.
        floor: the largest of its results.
        accuracy: None without a result.
    """

    collection: str
    method: str
    entry: str
    kind: str
    entries: frozenset[str]
    known: list[Answers]
    failed: int
    floor: float
    accuracy: Accuracy | None

    @property
    def videos_by_split(self) -> dict[int, np.ndarray]:
        """The source videos of the test clips of every split."""
        return {answers.split: answers.videos for answers in self.known}


def rows_of_lineup(found: Iterable[Answers], kinds: Mapping[str, str]) -> list[Row]:
    """Rows by collection, then in the order of `kinds`, then by method; the random losses together come last.

    Args:
        found: of all entries, splits, seeds and methods.
        kinds: of the entries.
    """
    by_method: dict[tuple[str, str], list[Answers]] = {}
    for answers in found:
        by_method.setdefault((answers.collection, answers.method), []).append(answers)
    groups = {name: (kind, frozenset({name})) for name, kind in kinds.items()}
    random = frozenset(name for name, kind in kinds.items() if kind == "random")
    if len(random) > 1:
        groups[RANDOM_LOSSES] = ("random", random)
    rows = []
    for (collection, method), results in by_method.items():
        videos = np.unique(np.concatenate(list({answers.split: answers.videos for answers in results}.values())))
        for entry, (kind, entries) in groups.items():
            own = [answers for answers in results if answers.entry in entries]
            if own:
                known = [answers for answers in own if answers.right is not None]
                floor = max(answers.floor for answers in own)
                reached = accuracy(known, videos) if known else None
                failed = len(own) - len(known)
                rows.append(Row(collection, method, entry, kind, entries, known, failed, floor, reached))
    order = list(groups)
    return sorted(rows, key=lambda row: (row.collection, order.index(row.entry), method_order(row.method)))


def summary_table(rows: Sequence[Row]) -> pd.DataFrame:
    """One line per row of the lineup and method.

    Returns:
        SUMMARY: results with a value, and failed without; seeds, splits, test clips (over splits) and source videos of
        the former; floor, what needs no features; mean top-1 of the results, their deviation sd (by n - 1), and the
        95 % interval low to high, as fractions. Empty: a single result has no deviation, fewer than FEWEST_VIDEOS
        source videos give no interval, and a row without result has no mean.
    """
    found = []
    for row in rows:
        top1 = [float(answers.right.mean()) for answers in row.known if answers.right is not None]
        low, high = interval(row.accuracy) if row.accuracy else (np.nan, np.nan)
        found.append(
            {
                "collection": row.collection,
                "entry": row.entry,
                "kind": row.kind,
                "method": row.method,
                "results": len(row.known),
                "failed": row.failed,
                "seeds": len({answers.seed for answers in row.known}),
                "splits": len(row.videos_by_split),
                "clips": sum(map(len, row.videos_by_split.values())),
                "source_videos": np.count_nonzero(row.accuracy.clips) if row.accuracy else 0,
                "floor": row.floor,
                "mean": row.accuracy.mean if row.accuracy else np.nan,
                "sd": np.std(top1, ddof=1) if len(top1) > 1 else np.nan,
                "low": low,
                "high": high,
            }
        )
    return pd.DataFrame(found, columns=list(SUMMARY)).round(6)


def paired_table(rows: Sequence[Row]) -> pd.DataFrame:
    """Every row minus every later one, by each method that both have a result of.

    Returns:
        PAIRED: test clips (over splits) and source videos; the difference of mean top-1 and its 95 % interval, as
        fractions; p, two-sided. Interval and p are empty with fewer than FEWEST_VIDEOS source videos.
    """
    by_method: dict[tuple[str, int, str], list[tuple[Row, Accuracy]]] = {}
    for row in rows:
        if row.accuracy:
            key = (row.collection, *method_order(row.method))
            by_method.setdefault(key, []).append((row, row.accuracy))
    found = []
    for (collection, _, method), own in sorted(by_method.items(), key=lambda item: item[0]):
        for (one, ours), (other, theirs) in itertools.combinations(own, 2):
            if one.entries & other.entries:
                continue
            clips = sum(map(len, (one.videos_by_split | other.videos_by_split).values()))
            videos, gap = np.count_nonzero(ours.clips + theirs.clips), difference(ours, theirs)
            values = (gap.difference, gap.low, gap.high, gap.p)
            found.append((collection, method, one.entry, other.entry, clips, videos, *values))
    return pd.DataFrame(found, columns=list(PAIRED)).round(6)
