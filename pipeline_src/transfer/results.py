"""All results of a run in tidy tables."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from pipeline_src.errors import UserError
from pipeline_src.settings.transfer import LineupEntry
from pipeline_src.transfer.baselines import FRAME_COUNT, RAW_PIXELS

RESULT = ("collection", "split", "entry", "seed")
COLUMNS = ("collection", "split", "entry", "kind", "seed", "method", "top1")
# Each has a file.
METHODS = ("kmeans", "linear", "finetune", "retrieval")
KNN = "knn"


def collect(files: Iterable[tuple[str, Any]], lineup: Sequence[LineupEntry]) -> pd.DataFrame:
    """One row per result: collection, split, entry, kind, seed, method, top1 (fraction or empty).

    Sorted by collection, entry (the lineup's order, then baselines), method, split and seed.

    Args:
        files: name and content; a result, or `{"results": [...]}` of several.
        lineup: gives entries their kind and order.

    Raises:
        UserError: a file that is no result, an entry that the lineup lacks, or the same result twice.
    """
    kinds = kinds_of(lineup)
    order = {name: place for place, name in enumerate(kinds)}
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for path, content in files:
        several = isinstance(content, Mapping) and "results" in content
        for found in content["results"] if several else [content]:
            row = _row(path, found, kinds)
            key = (row["collection"], order[row["entry"]], *method_order(row["method"]), row["split"], row["seed"])
            if key in rows:
                raise UserError(f"{path}: {row['entry']} by {row['method']} occurs twice - allowed: each result once")
            rows[key] = row
    return pd.DataFrame([rows[key] for key in sorted(rows)], columns=list(COLUMNS))


def kinds_of(lineup: Sequence[LineupEntry]) -> dict[str, str]:
    """Kind of every row of the results: the lineup's entries in their order, then baselines."""
    return {entry.name: str(entry.kind) for entry in lineup} | dict.fromkeys((FRAME_COUNT, RAW_PIXELS), "baseline")


def results_in(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each result of a file by itself: one, or `{"results": [...]}`; beside retrieval the vote of the nearest."""
    found = []
    for result in content.get("results", [content]):
        found.append(dict(result))
        if result.get("method") == "retrieval":
            own = {name: value for name, value in result.items() if name not in ("recall", "neighbours")}
            vote = {"top1": result.get("knn_top1"), "predictions": result.get("knn_predictions", [])}
            found.append({**own, "method": KNN, **vote})
    return found


def file_of(method: str) -> str:
    """The name of the file that holds a network's result by a method."""
    return "retrieval.json" if method == KNN else f"{method}.json"


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
        own = {name: content[name] for name in (*RESULT, "method", "labels")}
        rows.append({**own, "labelled_clips": content["train_clips"], "top1": content["top1"]})
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


def method_order(name: str) -> tuple[int, str]:
    """Sorts methods as METHODS does, the vote of the nearest and others behind."""
    known = (*METHODS, KNN)
    return (known.index(name) if name in known else len(known), name)


def require(path: str, found: Any, names: Iterable[str]) -> None:
    """Check that the content of a file has these parts of a result.

    Raises:
        UserError: one is missing.
    """
    missing = [name for name in names if not isinstance(found, Mapping) or name not in found]
    if missing:
        raise UserError(f"{path}: no transfer result, lacks {', '.join(missing)}; delete it and run snakemake again")


def _row(path: str, found: Any, kinds: Mapping[str, str]) -> dict[str, Any]:
    wanted = [column for column in COLUMNS if column != "kind"]
    require(path, found, wanted)
    if found["entry"] not in kinds:
        raise UserError(f"{path}: entry {found['entry']!r} - allowed: entries of the lineup: {', '.join(kinds)}")
    return {**{column: found[column] for column in wanted}, "kind": kinds[found["entry"]]}
