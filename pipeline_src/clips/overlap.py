"""What the pool shares with labelled collections: never test content, and how many source videos."""

import os
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path
from typing import Any

from pipeline_src.clips.rows import ClipRow, is_url, read_plan, told_address
from pipeline_src.clips.splits import PARTS
from pipeline_src.errors import UserError
from pipeline_src.files import read_json

NAMED_CLIPS = 3


def read_planned(folder: Path) -> list[ClipRow]:
    """All clips of data/{collection} in plan order."""
    shards = read_json(folder / "plan" / "shards.json")["shards"]
    return [row for entry in shards for row in read_plan(folder / "plan" / f"{entry['shard']}.csv")]


def compare_with_pool(pool: Sequence[ClipRow], labelled: Sequence[ClipRow]) -> dict[str, dict[str, Any]]:
    """Count what a labelled collection shares with the pool, for each of its splits.

    Two clips share content when their files are the same, by fingerprint, place or URL, and their times
    overlap.

    Returns:
        For each split name: "shared_clips", labelled clips whose content the pool has, by part;
        "shared_source_videos", source videos with such clips or that the pool names too, by part;
        "source_videos_in_train_and_test", source videos that the split itself has on both sides.

    Raises:
        UserError: the pool has content of a test part; names the first clips.
    """
    twins = _twins(pool, labelled)
    pool_sources = {_source(row) for row in pool}
    pool_sources |= {_source(row) for row in labelled if row.clip_id in twins}
    report: dict[str, dict[str, Any]] = {}
    for k in range(len(labelled[0].splits) if labelled else 0):
        parts = {part: [row for row in labelled if row.splits[k] == part] for part in PARTS}
        sources = {part: {_source(row) for row in rows} for part, rows in parts.items()}
        report[f"split_{k + 1}"] = {
            "shared_clips": {part: sum(row.clip_id in twins for row in rows) for part, rows in parts.items()},
            "shared_source_videos": {part: len(found & pool_sources) for part, found in sources.items()},
            "source_videos_in_train_and_test": len(sources["train"] & sources["test"]),
        }
    return report


def shared_with_test(pool: Sequence[ClipRow], labelled: Sequence[ClipRow]) -> list[tuple[str, str, ClipRow]]:
    """(split, pool clip, labelled clip) for each test clip whose content the pool has."""
    twins = _twins(pool, labelled)
    return [
        (f"split_{k + 1}", twins[row.clip_id], row)
        for row in labelled
        if row.clip_id in twins
        for k, part in enumerate(row.splits)
        if part == "test"
    ]


def check_collections(pool: Path, labelled: Iterable[Path]) -> dict[str, dict[str, dict[str, Any]]]:
    """Compare the pool's plan with those of labelled collections, given as data/{collection} folders.

    Returns:
        By collection, what `compare_with_pool` counts.

    Raises:
        UserError: the pool has content of a test part.
    """
    pool_rows = read_planned(pool)
    report = {}
    for folder in labelled:
        rows = read_planned(folder)
        shared = shared_with_test(pool_rows, rows)
        if shared:
            clips = {row.clip_id for _, _, row in shared}
            first = "; ".join(
                f"{mine} is {told_address(row.path)} (test in {split})" for split, mine, row in shared[:NAMED_CLIPS]
            )
            raise UserError(
                f"collections.{pool.name}.source: has the content of {len(clips)} test clips of"
                f" collections.{folder.name}: {first} - allowed: none; take these videos out of the"
                f" {pool.name}, or use only splits of {folder.name} whose test clips it lacks"
            )
        report[folder.name] = compare_with_pool(pool_rows, rows)
    return report


def _twins(pool: Sequence[ClipRow], labelled: Sequence[ClipRow]) -> dict[str, str]:
    """Labelled clip id to the id of a pool clip with the same content."""
    by_file: dict[Hashable, list[ClipRow]] = defaultdict(list)
    for row in pool:
        for key in _files(row):
            by_file[key].append(row)
    found: dict[str, str] = {}
    for row in labelled:
        for key in _files(row):
            for other in by_file.get(key, ()):
                if other.earliest_s < row.latest_s and row.earliest_s < other.latest_s:
                    found.setdefault(row.clip_id, other.clip_id)
    return found


def _files(row: ClipRow) -> list[Hashable]:
    place = row.path if is_url(row.path) else os.path.realpath(row.path)
    return [("place", place), *([("content", row.content)] if row.content else [])]


def _source(row: ClipRow) -> Hashable:
    """What groups a clip. A video that is its own source counts by place: names repeat between folders."""
    if is_url(row.path) or not row.path.replace(os.sep, "/").endswith(row.source_video):
        return ("named", row.source_video)
    return ("place", os.path.realpath(row.path))
