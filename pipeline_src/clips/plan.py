"""Which pieces of which videos become clips, and which shard each clip goes to."""

import contextlib
import hashlib
import math
import os
import re
import sys
import unicodedata
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from pipeline_src.clips.probe import ProbeError, probe
from pipeline_src.clips.rows import (
    ClipRow,
    is_url,
    plan_text,
    read_plan,
    rewrite_if_changed,
    seconds_text,
    told_address,
)
from pipeline_src.clips.sections import section_starts
from pipeline_src.clips.sources import list_source
from pipeline_src.clips.splits import check_parts, random_parts
from pipeline_src.clips.video import Video
from pipeline_src.errors import UserError
from pipeline_src.files import read_json, write_json
from pipeline_src.job_times import seconds_taken
from pipeline_src.settings.clips import CollectionSettings, ListSource, PlanSettings

FINGERPRINT_BYTES = 64 * 1024
PROBE_THREADS = 4


def plan_collection(
    collection: CollectionSettings, name: str, seed: int, folder: Path, out: Path, redo_hours: float = math.inf
) -> None:
    """Write plan/{shard}.csv beside `out`, then `out` itself (shards.json).

    A plan made with the same settings is continued: clips stay in their shard, those of vanished videos are
    dropped, new ones fill the last shard and then further ones. An unchanged shard's file is not touched.

    Args:
        collection: settings of the collection.
        name: its name.
        seed: the run's seed.
        folder: data/{collection}.
        out: data/{collection}/plan/shards.json.
        redo_hours: hours of finished jobs that other clips in their shards may undo.

    Raises:
        UserError: nothing to plan, a wrong value in the source, or more hours than that.
    """
    listing = list_source(collection, name, folder)
    if listing.note:
        print(listing.note, file=sys.stderr)
    rows = plan_rows(listing.videos, collection, name, seed)
    made_with = _made_with(collection, name, seed)
    record = out.parent / "settings.json"
    existing = {} if not _continues(record, made_with) else _existing(out.parent)
    candidates = math.ceil(collection.plan.clips_per_shard * (1 + collection.plan.spare))
    shards = assign_shards(existing, rows, candidates)
    texts = {shard: plan_text(clips, collection.split_count) for shard, clips in shards.items()}
    _check_cost(name, folder, out.parent, texts, redo_hours)
    record.unlink(missing_ok=True)  # An interrupted write leaves no record, so the next plan starts from scratch.
    for stale in _shard_files(out.parent):
        if stale.stem not in shards:
            stale.unlink()
    if not existing:  # Rounds of retrying belong to the plan whose failures they tried again.
        for stale in [
            *out.parent.glob("retry_*.json"),
            *folder.glob("plan/*r[0-9]*.csv"),
            *folder.glob("status/*/*r[0-9]*.csv"),
        ]:
            stale.unlink()
    entries = []
    for shard, text in texts.items():
        rewrite_if_changed(out.parent / f"{shard}.csv", text)
        content = hashlib.sha256(text.encode()).hexdigest()[:16]
        entries.append({"shard": shard, "clips": len(shards[shard]), "content": content})
    write_json(record, made_with)
    write_json(out, {"shards": entries, **({"note": listing.note} if listing.note else {})})


def _check_cost(name: str, folder: Path, plans: Path, texts: dict[str, str], redo_hours: float) -> None:
    """Stop before the shards of finished jobs get other clips; Snakemake knows of these only after planning."""
    changed = [path.stem for path in _shard_files(plans) if path.read_text() != texts.get(path.stem)]
    hours = sum(seconds_taken(path) for shard in changed for path in folder.glob(f"benchmarks/*/{shard}.tsv")) / 3600
    if hours > redo_hours:
        raise UserError(
            f"collections.{name}: {len(changed)} shards would be made anew, {hours:.1f} hours of finished work -"
            f" allowed by redo_hours: {redo_hours:g}. Take the change back; or, with your other options:"
            f" snakemake --config redo_hours={int(hours) + 1}"
        )


def plan_rows(videos: list[Video], collection: CollectionSettings, name: str, seed: int) -> list[ClipRow]:
    """All clips of a collection, first sections of all videos first."""
    source = collection.source
    if isinstance(source, ListSource) and source.start_column is not None and collection.plan.per_video > 1:
        raise UserError(
            f"collections.{name}.plan.per_video: {collection.plan.per_video} - allowed: 1 where"
            " source.start_column says what the clips are"
        )
    if collection.labelled:
        drawn = collection.splits if not videos[0].splits else None
        if drawn is not None:
            videos = [replace(video, splits=random_parts(video.source_video, drawn, seed)) for video in videos]
        check_parts(name, [video.label for video in videos], [video.splits for video in videos], drawn)
    facts = _examine_all(videos, collection.plan)
    numbered = []
    for video in videos:
        measured, content = facts.get(video.path, (None, ""))
        duration = measured if video.duration_s is None else video.duration_s
        for number, row in enumerate(plan_video(video, collection.plan, seed, duration, content)):
            numbered.append((number, row))
    rows = [row for _, row in sorted(numbered, key=lambda item: item[0])]
    if not rows:
        raise UserError(
            f"collections.{name}.plan.shortest_s: {collection.plan.shortest_s:g} - every video is shorter; lower it"
        )
    if len({row.clip_id for row in rows}) != len(rows):
        raise RuntimeError("two clips share a clip_id")
    return rows


def plan_video(
    video: Video, settings: PlanSettings, seed: int, duration_s: float | None, content: str
) -> list[ClipRow]:
    """The clips of one video.

    Args:
        video: the video; its own start, where it has one, makes it one clip.
        settings: length and number of clips.
        seed: the run's seed.
        duration_s: length of the video in seconds, None where unknown.
        content: fingerprint of the file.
    """
    length = settings.duration_s
    pieces: list[tuple[str, float | None, float | None]]
    if video.start_s is not None:
        pieces = [(f"@{seconds_text(video.start_s)}", video.start_s, length)]
    elif length is None:
        pieces = [("#0", 0.0, None)]
    elif duration_s is None and is_url(video.path):
        pieces = [(f"#{number}", None, length) for number in range(settings.per_video)]
    elif duration_s is None:
        pieces = [("#0", 0.0, length)]
    elif duration_s < length:
        pieces = [("#0", 0.0, None)] if duration_s >= settings.shortest_s else []
    else:
        starts = section_starts(duration_s, length, settings.per_video, seed, video.identity)
        pieces = [(f"#{number}", start, length) for number, start in enumerate(starts)]
    return [
        ClipRow(
            clip_id=clip_id(video.identity, mark),
            path=video.path,
            start_s=start,
            duration_s=piece,
            source_video=video.source_video,
            content=content,
            label=video.label,
            splits=video.splits,
            section=number if start is None else 0,
        )
        for number, (mark, start, piece) in enumerate(pieces)
    ]


def clip_id(identity: str, mark: str) -> str:
    """ASCII name of at most 61 characters: readable stem of a path or URL, and hash of identity and mark.

    Args:
        identity: the video's stable name in its source.
        mark: which clip of the video: its number, or the start that a list gives it. A numbered clip keeps
            its name when the file is replaced by one of another length, so only its own shard changes.
    """
    stem = os.path.splitext(re.split(r"[?#]", told_address(identity))[0].rstrip("/").rsplit("/", 1)[-1])[0]
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode()
    readable = re.sub(r"[^A-Za-z0-9]+", "_", plain).strip("_")[:48].strip("_") or "clip"
    digest = hashlib.sha256(f"{identity}\0{mark}".encode()).hexdigest()[:12]
    return f"{readable}-{digest}"


def fingerprint(path: str) -> str:
    """16 hexadecimal digits over size, first and last 64 KiB of a file; "" for an empty or unreadable one."""
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size == 0:
                return ""
            digest = hashlib.sha256(str(size).encode())
            digest.update(file.read(FINGERPRINT_BYTES))
            file.seek(max(0, size - FINGERPRINT_BYTES))
            digest.update(file.read(FINGERPRINT_BYTES))
    except (OSError, ValueError):
        return ""
    return digest.hexdigest()[:16]


def assign_shards(
    existing: dict[str, list[str]], rows: Sequence[ClipRow], clips_per_shard: int
) -> dict[str, list[ClipRow]]:
    """Deal clips to shards without moving those that have one.

    Args:
        existing: clip ids of each shard so far, in order.
        rows: the clips that there are now.
        clips_per_shard: clips in a full shard, spare candidates included.

    Returns:
        Clips of each shard that is not empty, by ascending name.
    """
    waiting = {row.clip_id: row for row in rows}
    shards: dict[str, list[ClipRow]] = {}
    for shard, clip_ids in sorted(existing.items()):
        kept = [waiting.pop(name) for name in clip_ids if name in waiting]
        if kept:
            shards[shard] = kept
    last = max(shards, default=None)
    for row in waiting.values():
        if last is None or len(shards[last]) >= clips_per_shard:
            last = "000000" if last is None else f"{int(last) + 1:06d}"
            shards[last] = []
        shards[last].append(row)
    return shards


def _examine_all(videos: list[Video], settings: PlanSettings) -> dict[str, tuple[float | None, str]]:
    """Duration (None where unknown or not needed) and fingerprint of the local files, by path."""
    need = {
        video.path: video.start_s is None and video.duration_s is None and settings.duration_s is not None
        for video in videos
        if not is_url(video.path)
    }
    with ThreadPoolExecutor(PROBE_THREADS) as pool:
        found = pool.map(_examine, need.keys(), need.values())
        return dict(zip(need, tqdm(found, "plan", len(need), unit="video", mininterval=2), strict=True))


def _examine(path: str, with_duration: bool) -> tuple[float | None, str]:
    if not os.path.isfile(path):
        return None, ""
    duration = None
    if with_duration:
        with contextlib.suppress(ProbeError):  # Decoding reports the file; planning only needs a row for it.
            duration = probe(path, measure_duration=True).duration_s
    return duration, fingerprint(path)


def _made_with(collection: CollectionSettings, name: str, seed: int) -> dict[str, Any]:
    chosen = collection.model_dump(mode="json", include={"source", "plan", "splits"})
    for more in ("videos", "terms"):  # More of these keeps the clips that there are.
        chosen["source"].pop(more, None)
    chosen["plan"].pop("per_video")
    return {"collection": name, "seed": seed, **chosen}


def _continues(record: Path, made_with: dict[str, Any]) -> bool:
    try:
        return bool(read_json(record) == made_with)
    except (OSError, UserError):
        return False


def _existing(folder: Path) -> dict[str, list[str]]:
    try:
        return {path.stem: [row.clip_id for row in read_plan(path)] for path in _shard_files(folder)}
    except UserError:
        return {}


def _shard_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("[0-9][0-9][0-9][0-9][0-9][0-9].csv"))
