"""All results of a run in one tidy table, and what they are on average."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from pipeline_src.errors import UserError
from pipeline_src.settings.transfer import LineupEntry
from pipeline_src.transfer.baselines import FRAME_COUNT, RAW_PIXELS

COLUMNS = ("collection", "split", "entry", "kind", "seed", "method", "top1")
METHODS = ("kmeans", "linear", "finetune")


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
