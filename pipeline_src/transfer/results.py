"""All results of a run in tidy tables, and what they are on average."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from pipeline_src.errors import UserError
from pipeline_src.settings.transfer import LineupEntry
from pipeline_src.transfer.baselines import FRAME_COUNT, RAW_PIXELS

RESULT = ("collection", "split", "entry", "seed")
COLUMNS = ("collection", "split", "entry", "kind", "seed", "method", "top1")
METHODS = ("kmeans", "linear", "finetune", "retrieval")


def collect(files: Iterable[tuple[str, Any]], lineup: Sequence[LineupEntry]) -> pd.DataFrame:
    """One row per result: collection, split, entry, kind, seed, method, top1 (fraction or empty).

    Sorted by collection, entry (the lineup's order, then baselines), method, split and seed.

    Args:
        files: name and content; a result, or `{"results": [...]}` of several.
        lineup: gives entries their kind and order.

    Raises:
        UserError: a file that is no result, an entry that the lineup lacks, or the same result twice.
    """
    kinds = {entry.name: str(entry.kind) for entry in lineup} | dict.fromkeys((FRAME_COUNT, RAW_PIXELS), "baseline")
    order = {name: place for place, name in enumerate(kinds)}
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for path, content in files:
        several = isinstance(content, Mapping) and "results" in content
        for found in content["results"] if several else [content]:
            row = _row(path, found, kinds)
            key = (row["collection"], order[row["entry"]], *_method(row["method"]), row["split"], row["seed"])
            if key in rows:
                raise UserError(f"{path}: {row['entry']} by {row['method']} occurs twice - allowed: each result once")
            rows[key] = row
    return pd.DataFrame([rows[key] for key in sorted(rows)], columns=list(COLUMNS))


def recall_table(files: Iterable[tuple[str, Any]]) -> pd.DataFrame:
    """Retrieval results as one row per k: collection, split, entry, seed, k, recall, and that network's knn_top1."""
    rows = [
        {**{name: found[name] for name in RESULT}, "k": int(k), "recall": recall, "knn_top1": found["knn_top1"]}
        for _, found in files
        for k, recall in sorted(found.get("recall", {}).items(), key=lambda item: int(item[0]))
    ]
    return pd.DataFrame(rows, columns=[*RESULT, "k", "recall", "knn_top1"])


def fewer_labels_table(files: Iterable[tuple[str, Any]]) -> pd.DataFrame:
    """Results from a part of the labels: collection, split, entry, seed, method, labels, labelled_clips, top1."""
    rows = []
    for _, content in files:
        for found in content.get("results", [content]):
            own = {name: found[name] for name in (*RESULT, "method", "labels")}
            rows.append({**own, "labelled_clips": found["train_clips"], "top1": found["top1"]})
    return pd.DataFrame(rows, columns=[*RESULT, "method", "labels", "labelled_clips", "top1"])


def probe_table(files: Iterable[tuple[str, Any]]) -> pd.DataFrame:
    """What probes found, one row per number: collection, split, entry, seed, probe, measure, value.

    Measures are top1 and chance; of the probe speed also the mean score at each speed, and its rank_correlation.
    """
    rows = []
    for _, content in files:
        for found in content["results"]:
            measures = {name: found.get(name) for name in ("top1", "chance", "rank_correlation")}
            measures |= {f"score at {speed}": score for speed, score in found.get("scores", {}).items()}
            own = {name: found[name] for name in (*RESULT, "probe")}
            rows += [{**own, "measure": name, "value": value} for name, value in measures.items() if value is not None]
    return pd.DataFrame(rows, columns=[*RESULT, "probe", "measure", "value"])


def summarise(table: pd.DataFrame) -> pd.DataFrame:
    """Average a table of results over seeds and splits, in the table's order.

    Returns:
        collection, entry, kind, method; runs (with a result), failed (without), mean, sd (over runs, by
        n - 1; empty for a single run), lowest and highest top-1 as fractions.
    """
    groups = table.groupby(["collection", "entry", "kind", "method"], sort=False)["top1"]
    summary = groups.agg(runs="count", mean="mean", sd="std", lowest="min", highest="max", total="size")
    summary.insert(1, "failed", summary.pop("total") - summary["runs"])
    return summary.reset_index()


def _method(name: str) -> tuple[int, str]:
    return (METHODS.index(name) if name in METHODS else len(METHODS), name)


def _row(path: str, found: Any, kinds: Mapping[str, str]) -> dict[str, Any]:
    wanted = [column for column in COLUMNS if column != "kind"]
    missing = [column for column in wanted if not isinstance(found, Mapping) or column not in found]
    if missing:
        raise UserError(f"{path}: no transfer result, lacks {', '.join(missing)}; delete it and run snakemake again")
    if found["entry"] not in kinds:
        raise UserError(f"{path}: entry {found['entry']!r} - allowed: entries of the lineup: {', '.join(kinds)}")
    return {**{column: found[column] for column in wanted}, "kind": kinds[found["entry"]]}
