"""Rounds of trying again: clips that failed for a passing reason, planned anew in shards of their own.

The shards that they failed in stay as they are, so that nothing made from them runs again. What a round recovers is
used where `retries` of the collection says so.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline_src.clips.outcomes import PASSING, summary
from pipeline_src.clips.rows import ClipRow, plan_text, read_plan, read_status, rewrite_if_changed
from pipeline_src.errors import UserError
from pipeline_src.files import read_json, write_json
from pipeline_src.shards.names import is_retried


def round_file(folder: Path, number: int) -> Path:
    """The record of a round of the collection in `folder`, data/{collection}."""
    return folder / "plan" / f"retry_{number:02d}.json"


def shards_of_rounds(folder: Path, rounds: int, setting: str) -> list[str]:
    """Names of the shards of the first rounds.

    Raises:
        UserError: there have not been so many.
    """
    names = []
    for number in range(1, rounds + 1):
        if not round_file(folder, number).exists():
            raise UserError(
                f"{setting}: {rounds} - allowed: at most {number - 1}, the rounds of `snakemake retry_failed`"
            )
        names += [entry["shard"] for entry in read_json(round_file(folder, number))["shards"]]
    return names


def next_round(folder: Path) -> int:
    """The round that was begun and not ended, or else the one after the last."""
    number = 1
    while round_file(folder, number).exists():
        shards = [entry["shard"] for entry in read_json(round_file(folder, number))["shards"]]
        if not all(_ended(folder, shard) for shard in shards):
            return number
        number += 1
    return number


def plan_retry(folder: Path, number: int, clips_per_shard: int, out: Path) -> None:
    """Write the shards of a round, plan/{shard}r{number}.csv, then their record.

    Args:
        folder: data/{collection}.
        number: of the round, from 1.
        clips_per_shard: clips in a full shard.
        out: the record.
    """
    planned: dict[str, ClipRow] = {}
    latest: dict[str, str] = {}
    for shard in _shards(folder, number):
        if not is_retried(shard):
            planned.update({row.clip_id: row for row in read_plan(folder / "plan" / f"{shard}.csv")})
        status = folder / "status" / "fetch" / f"{shard}.csv"
        if status.exists():
            latest.update({row.clip_id: row.status for row in read_status(status)})
    again = [planned[name] for name, status in latest.items() if status in PASSING and name in planned]
    entries: list[dict[str, Any]] = []
    for start in range(0, len(again), clips_per_shard):
        rows = again[start : start + clips_per_shard]
        shard = f"{len(entries):06d}r{number:02d}"
        rewrite_if_changed(folder / "plan" / f"{shard}.csv", plan_text(rows, len(rows[0].splits)))
        entries.append({"shard": shard, "clips": len(rows)})
    write_json(out, {"shards": entries})


def told(folder: Path, number: int) -> list[str]:
    """Lines that say what a round brought."""
    shards = [entry["shard"] for entry in read_json(round_file(folder, number))["shards"]]
    if not shards:
        return [f"{folder.name}: no clip failed for a passing reason"]
    rows = [row for shard in shards for row in read_status(folder / "status" / "decode" / f"{shard}.csv")]
    lines = [f"{folder.name}: {line}" for line in summary(row.status for row in rows)]
    if any(row.status == "ok" for row in rows):
        lines.append(f"{folder.name}: set collections.{folder.name}.retries: {number} to use what was recovered")
    return lines


def _ended(folder: Path, shard: str) -> bool:
    """Whether the clips of a shard's plan have all been tried."""
    status = folder / "status" / "decode" / f"{shard}.csv"
    planned = [row.clip_id for row in read_plan(folder / "plan" / f"{shard}.csv")]
    return status.exists() and [row.clip_id for row in read_status(status)] == planned


def _shards(folder: Path, before: int) -> Iterator[str]:
    """Shards of the plan, then those of the rounds before a number."""
    for record in [folder / "plan" / "shards.json", *(round_file(folder, number) for number in range(1, before))]:
        yield from (entry["shard"] for entry in read_json(record)["shards"])
