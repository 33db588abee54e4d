"""What each row of the lineup reaches on average, and rows against each other, as tables."""

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline_src.transfer.answers import Answers
from pipeline_src.transfer.intervals import Accuracy, accuracy, difference, interval
from pipeline_src.transfer.results import method_order

RANDOM_LOSSES = "random losses"
"""Row of all entries of kind random together, where there are several: no entry can have a space in its name."""
SUMMARY = (
    "collection", "entry", "kind", "method", "results", "failed", "seeds", "splits", "all_splits", "clips",
    "source_videos", "floor", "mean", "sd", "low", "high",
)  # fmt: skip
PAIRED = (
    "collection", "method", "entry", "other", "splits", "clips", "source_videos", "top1", "other_top1", "difference",
    "low", "high", "p",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """Results of one method on one collection that stand in one row.

    Attributes:
        collection, method, entry, kind: of the row.
        entries: that it is made of.
        found: results of all seeds and splits, failed ones too.
        all_splits: how many there are, of this row or of others.
        videos: all source videos, sorted.
        accuracy: None without a result.
    """

    collection: str
    method: str
    entry: str
    kind: str
    entries: frozenset[str]
    found: list[Answers]
    all_splits: int
    videos: np.ndarray
    accuracy: Accuracy | None

    @property
    def known(self) -> list[Answers]:
        """Results that did not fail."""
        return [answers for answers in self.found if answers.right is not None]

    @property
    def videos_by_split(self) -> dict[int, np.ndarray]:
        """The source videos of the test clips of every split with a result."""
        return {answers.split: answers.videos for answers in self.known}

    def accuracy_on(self, splits: Collection[int]) -> Accuracy | None:
        """Of some splits only; None without a result."""
        if self.videos_by_split.keys() <= set(splits):
            return self.accuracy
        return _accuracy([answers for answers in self.found if answers.split in splits], self.videos)


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
        of_splits = {answers.split: answers.videos for answers in results}
        videos = np.unique(np.concatenate(list(of_splits.values())))
        for entry, (kind, entries) in groups.items():
            own = [answers for answers in results if answers.entry in entries]
            if own:
                reached = _accuracy(own, videos)
                rows.append(Row(collection, method, entry, kind, entries, own, len(of_splits), videos, reached))
    order = list(groups)
    return sorted(rows, key=lambda row: (row.collection, order.index(row.entry), method_order(row.method)))


def summary_table(rows: Sequence[Row]) -> pd.DataFrame:
    """One line per row of the lineup and method.

    Returns:
        SUMMARY: results with a value, and failed without; seeds, splits, test clips (over splits) and source videos of
        the former; all_splits, how many any row was tested on; floor, what needs no features; mean top-1 over splits
        and, within each, over results; deviation sd of the results (by n - 1), and the 95 % interval low to high of
        the mean, as fractions. Empty: a single result has no deviation, a row without result has no mean, and there is
        no interval with fewer than FEWEST_VIDEOS source videos, or of a row of several seeds (or of several entries)
        of which fewer than two gave a result on the same split.
    """
    found = []
    for row in rows:
        known = row.known
        top1 = [float(answers.right.mean()) for answers in known if answers.right is not None]
        low, high = interval(row.accuracy) if row.accuracy else (np.nan, np.nan)
        found.append(
            {
                "collection": row.collection,
                "entry": row.entry,
                "kind": row.kind,
                "method": row.method,
                "results": len(known),
                "failed": len(row.found) - len(known),
                "seeds": len({answers.seed for answers in known}),
                "splits": len(row.videos_by_split),
                "all_splits": row.all_splits,
                "clips": sum(map(len, row.videos_by_split.values())),
                "source_videos": np.count_nonzero(row.accuracy.clips) if row.accuracy else 0,
                "floor": max(answers.floor for answers in row.found),
                "mean": row.accuracy.mean if row.accuracy else np.nan,
                "sd": np.std(top1, ddof=1) if len(top1) > 1 else np.nan,
                "low": low,
                "high": high,
            }
        )
    return pd.DataFrame(found, columns=list(SUMMARY)).round(6)


def fewer_labels_summary(found: Iterable[tuple[str, Answers]], kinds: Mapping[str, str]) -> pd.DataFrame:
    """The same from a part of the labels: SUMMARY by "labels", such as 5shot, in the order of their first result."""
    by_part: dict[str, list[Answers]] = {}
    for labels, answers in found:
        by_part.setdefault(labels, []).append(answers)
    tables = [summary_table(rows_of_lineup(own, kinds)).assign(labels=labels) for labels, own in by_part.items()]
    columns = ["labels", *SUMMARY]
    return pd.concat(tables)[columns] if tables else pd.DataFrame(columns=columns)


def paired_table(rows: Sequence[Row]) -> pd.DataFrame:
    """Every row minus every later one by each method, on the splits that both have a result of.

    Returns:
        PAIRED: these splits, their test clips (over splits) and source videos; mean top-1 of both on them, the
        difference and its 95 % interval, as fractions; p, two-sided. Interval and p are empty where one of the two has
        no interval on these splits. Rows without a split in common have no line.
    """
    by_method: dict[tuple[str, int, str], list[Row]] = {}
    for row in rows:
        by_method.setdefault((row.collection, *method_order(row.method)), []).append(row)
    found = []
    for (collection, _, method), own in sorted(by_method.items(), key=lambda item: item[0]):
        for one, other in itertools.combinations(own, 2):
            if one.entries & other.entries:
                continue
            tested = one.videos_by_split
            common = tested.keys() & other.videos_by_split.keys()
            ours, theirs = one.accuracy_on(common), other.accuracy_on(common)
            if ours is None or theirs is None:
                continue
            clips, videos = sum(len(tested[split]) for split in common), np.count_nonzero(ours.clips)
            gap = difference(ours, theirs)
            values = (ours.mean, theirs.mean, gap.difference, gap.low, gap.high, gap.p)
            found.append((collection, method, one.entry, other.entry, len(common), clips, videos, *values))
    return pd.DataFrame(found, columns=list(PAIRED)).round(6)


def _accuracy(found: Sequence[Answers], videos: np.ndarray) -> Accuracy | None:
    return accuracy(found, videos) if any(answers.right is not None for answers in found) else None
