"""What the report shows of the evaluation beside the table of results, read from its files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline_src.files import read_json
from pipeline_src.settings.run import RunSettings
from pipeline_src.shards.index import read_table
from pipeline_src.transfer.summaries import PAIRED, SUMMARY

SHOWN_METHOD = "linear"


@dataclass(frozen=True)
class Confusion:
    """Which classes one entry's clips were named, by one layer, over its seeds and splits.

    Attributes:
        entry: whose.
        classes: names, sorted.
        counts: (true, named) test clips; a clip counts once for each seed.
    """

    entry: str
    classes: list[str]
    counts: np.ndarray

    def most_confused(self, count: int) -> list[tuple[str, str, float]]:
        """Pairs of a true and another class with the largest share of the true class's clips."""
        shares = self.counts / np.maximum(1, self.counts.sum(1, keepdims=True))
        np.fill_diagonal(shares, 0)
        places = np.argsort(-shares, axis=None, kind="stable")[:count]
        pairs = [np.unravel_index(place, shares.shape) for place in places]
        return [(self.classes[i], self.classes[j], float(shares[i, j])) for i, j in pairs if shares[i, j] > 0]


@dataclass(frozen=True)
class Protocols:
    """Tables of a run's transfer folder, and the confusions of one entry by collection.

    Attributes:
        retrieval: collection, split, entry, seed, k, recall, knn_top1.
        fewer_labels: collection, split, entry, seed, method, labels, labelled_clips, top1.
        fewer_labels_summary: their means with intervals, by labels.
        probes: collection, split, entry, seed, probe, measure, value.
        summary, paired: means with intervals, and rows against each other, as transfer/summaries.py makes them.
        confusions: by collection.
    """

    retrieval: pd.DataFrame
    fewer_labels: pd.DataFrame
    fewer_labels_summary: pd.DataFrame
    probes: pd.DataFrame
    summary: pd.DataFrame
    paired: pd.DataFrame
    confusions: dict[str, Confusion]


def read_protocols(settings: RunSettings) -> Protocols:
    """Read what `collect_results` wrote.

    Raises:
        UserError: a file that every finished run has is missing or broken.
    """
    folder = Path(settings.results_root) / settings.run / "transfer"
    base = ["collection", "split", "entry", "seed"]
    shown = shown_entry(settings)
    found = {}
    for name in settings.transfer.collections:
        splits = range(1, settings.collections[name].split_count + 1)
        found[name] = _confusion(Path(settings.data_root) / name, folder / name, splits, shown, settings.seeds)
    return Protocols(
        retrieval=_numbers(read_table(folder / "retrieval.csv", [*base, "k", "recall", "knn_top1"])),
        fewer_labels=_numbers(read_table(folder / "fewer_labels.csv", [*base, "method", "labels", "labelled_clips"])),
        fewer_labels_summary=_numbers(read_table(folder / "fewer_labels_summary.csv", ["labels", *SUMMARY])),
        probes=_numbers(read_table(folder / "probes.csv", [*base, "probe", "measure", "value"])),
        summary=_numbers(read_table(folder / "summary.csv", SUMMARY)),
        paired=_numbers(read_table(folder / "paired.csv", PAIRED)),
        confusions=found,
    )


def shown_entry(settings: RunSettings) -> str:
    """The entry that is looked at closely: the evolved one, or the first."""
    return next((e.name for e in settings.lineup if e.kind == "evolved"), settings.lineup[0].name)


def _confusion(data: Path, folder: Path, splits: Sequence[int], entry: str, seeds: Sequence[int]) -> Confusion:
    clips = read_table(data / "clips.csv", ["clip_id", "label"])
    classes = sorted(set(clips["label"]))
    places = {name: place for place, name in enumerate(classes)}
    counts = np.zeros((len(classes), len(classes)), int)
    for split in splits:
        truth = clips.loc[clips[f"split_{split}"] == "test", "label"].tolist()
        for seed in seeds:
            result = read_json(folder / f"split_{split}" / entry / f"seed_{seed}" / f"{SHOWN_METHOD}.json")
            for true, named in zip(truth, result["predictions"], strict=False):
                counts[places[true], places[named]] += 1
    return Confusion(entry, classes, counts)


def _numbers(table: pd.DataFrame) -> pd.DataFrame:
    """Columns of numbers as such; empty values as NaN."""
    numeric: dict[str, Any] = {}
    for name in table.columns:
        if name not in ("collection", "entry", "kind", "other", "method", "labels", "probe", "measure"):
            numeric[name] = pd.to_numeric(table[name], errors="coerce")
    return table.assign(**numeric)
