"""The rows that clip stages hand to each other, and their CSV files."""

import csv
import io
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pipeline_src.errors import UserError
from pipeline_src.files import whole_file

Status = Literal[
    "ok",
    "spare",  # a candidate that was not needed
    "missing",
    "unavailable",
    "private",
    "age",
    "region",
    "bot_check",
    "rate_limited",
    "timed_out",
    "too_short",
    "no_video",
    "over_limits",
    "refused",
    "undecodable",
    "no_flow",  # decoded, but without the motion vectors that the flow was to be made of
    "other",
]
# Scheme, host and port, and path of an address; between and behind them stand user, password, query and fragment.
ADDRESS = re.compile(
    r"([a-z][a-z0-9+.-]*://)(?:[^/?#]*@)?((?:\[[^]/?#@]*\]|[^]/?#@:[]*)(?::[0-9]*)?(?![^/?#]))([^?#]*)", re.IGNORECASE
)
# In the column start_s: number of a section whose start is drawn once the video's length is known.
RANDOM = "random#"
PLAN_COLUMNS = ("clip_id", "path", "start_s", "duration_s", "source_video", "content", "label")


@dataclass(frozen=True)
class ClipRow:
    """A planned clip.

    Attributes:
        clip_id: unique in its collection and safe as a file name.
        path: a file, as seen from the working directory, or an http(s) URL.
        start_s: start in seconds after the first frame; None where the length is known only when the video is fetched,
            and then draws the start of random section number `section`.
        duration_s: length in seconds; None takes everything from the start on.
        source_video: the video that the clip was cut from; groups clips.
        content: fingerprint of a local file; "" for a URL and for a file that cannot be read or is empty.
        label: class; "" in an unlabelled collection.
        splits: train, validation, test or unused in each split; () in an unlabelled collection.
    """

    clip_id: str
    path: str
    start_s: float | None
    duration_s: float | None
    source_video: str
    content: str
    label: str
    splits: tuple[str, ...]
    section: int = 0

    @property
    def earliest_s(self) -> float:
        """Where the clip starts at the earliest, in seconds."""
        return self.start_s or 0.0

    @property
    def latest_s(self) -> float:
        """Where the clip ends at the latest, in seconds; infinite where nothing says."""
        return float("inf") if self.start_s is None or self.duration_s is None else self.start_s + self.duration_s


@dataclass(frozen=True)
class StatusRow:
    """What became of a clip in a stage.

    Attributes:
        clip_id: of the plan.
        status: ok, or what kind of failure.
        reason: one line.
        file: the fetched file, "" where there is none.
        start_s: where the clip starts in that file, in seconds after its first frame.
        video_start_s: where it starts in the video; other than start_s where only a section was fetched.
    """

    clip_id: str
    status: Status
    reason: str = ""
    file: str = ""
    start_s: float = 0.0
    video_start_s: float = 0.0


@dataclass(frozen=True)
class Wanted:
    """A section of a video.

    Attributes:
        name: file name without suffix, unique in the shard.
        start_s: None draws the start of section number `section` once the length is known.
        duration_s: None takes everything from the start on.
        section: number of a drawn section.
        seed: of the draw.
        identity: what else the draw depends on.
        shortest_s: a shorter piece of a short video is no clip.
    """

    name: str
    start_s: float | None
    duration_s: float | None
    section: int = 0
    seed: int = 0
    identity: str = ""
    shortest_s: float = 0.0


@dataclass(frozen=True)
class Piece:
    """What became of a section: a file and where the section starts in it and in the video, or why there is none."""

    status: Status
    reason: str = ""
    file: str = ""
    start_s: float = 0.0
    video_start_s: float = 0.0


def is_url(path: str) -> bool:
    """Whether a path is an http or https URL."""
    return re.match(r"https?://", path, re.IGNORECASE) is not None


def told_address(path: str) -> str:
    """An address without user, password, query and fragment, which may be secrets; a path as it is.

    Of what is no valid address the scheme is left: a password may stand anywhere in it.
    """
    if "://" not in path:
        return path
    found = ADDRESS.match(path)
    return "".join(found.groups()) if found else f"{path.partition('://')[0]}://"


def seconds_text(value: float) -> str:
    """A time in seconds to the millisecond, without trailing zeros."""
    return f"{value:.3f}".rstrip("0").rstrip(".")


def short_reason(text: str, *hidden: str) -> str:
    """One printable line of at most 160 characters without folders, memory addresses and what addresses keep secret.

    Args:
        text: a message of a program.
        hidden: paths and addresses that the message may hold; only their last part is shown.
    """
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    line = re.sub(r"\x1b\[[0-9;]*m", "", line)
    known = "|".join(re.escape(path) + r"\S*" * ("://" in path) for path in hidden if path) or "(?!)"
    # Other addresses and ends of such, too: yt-dlp names videos by addresses without the host.
    told = rf"(?:file:)?({known})|[a-z][a-z0-9+.-]*://\S+|(?<=\S)[?#]\S+"
    line = re.sub(told, _shown, line, flags=re.IGNORECASE)
    line = re.sub(r" @ 0x[0-9a-f]+", "", line)
    line = "".join(character if character.isprintable() else " " for character in line)
    return re.sub(r"\s+", " ", line).strip()[:160]


def _shown(found: re.Match[str]) -> str:
    if found[1]:
        return os.path.basename(told_address(found[1]))
    return told_address(found[0]) if "://" in found[0] else ""


def plan_text(rows: list[ClipRow], splits: int) -> str:
    """The content of a plan/{shard}.csv with `splits` split columns."""
    table = [[*PLAN_COLUMNS, *(f"split_{k}" for k in range(1, splits + 1))]]
    for row in rows:
        duration = "" if row.duration_s is None else seconds_text(row.duration_s)
        fixed = [
            row.clip_id,
            row.path,
            f"{RANDOM}{row.section}" if row.start_s is None else seconds_text(row.start_s),
            duration,
            row.source_video,
            row.content,
            row.label,
        ]
        table.append([*fixed, *row.splits])
    return _csv_text(table)


def read_plan(path: str | os.PathLike[str]) -> list[ClipRow]:
    """Read a plan/{shard}.csv.

    Raises:
        UserError: the file is no plan.
    """
    rows = []
    try:
        with open(path, newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            names = [name for name in reader.fieldnames or [] if name.startswith("split_")]
            for row in reader:
                duration = float(row["duration_s"]) if row["duration_s"] else None
                text = {key: row[key] for key in ("clip_id", "path", "source_video", "content", "label")}
                splits = tuple(row[name] for name in names)
                drawn = row["start_s"].startswith(RANDOM)
                start = None if drawn else float(row["start_s"])
                section = int(row["start_s"].removeprefix(RANDOM)) if drawn else 0
                rows.append(ClipRow(start_s=start, duration_s=duration, splits=splits, section=section, **text))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, csv.Error) as error:
        raise UserError(
            f"{path}: not a readable plan ({error}); delete the plan folder and run snakemake again"
        ) from error
    return rows


def write_status(path: str | os.PathLike[str], rows: list[StatusRow], *, fetched: bool) -> None:
    """Write a status CSV: clip_id, status, reason and, for fetching, file, start_s and video_start_s."""
    table = [["clip_id", "status", "reason", *(["file", "start_s", "video_start_s"] if fetched else [])]]
    for row in rows:
        place = [row.file, seconds_text(row.start_s), seconds_text(row.video_start_s)] if fetched else []
        table.append([row.clip_id, row.status, row.reason, *place])
    with whole_file(path) as part:
        part.write_text(_csv_text(table), encoding="utf-8", newline="")


def read_status(path: str | os.PathLike[str]) -> list[StatusRow]:
    """Read a status CSV.

    Raises:
        UserError: the file is no such CSV.
    """
    try:
        with open(path, newline="", encoding="utf-8") as file:
            return [_status_row(row) for row in csv.DictReader(file)]
    except (OSError, TypeError, ValueError, AttributeError, csv.Error) as error:
        raise UserError(f"{path}: not a readable status file ({error}); delete it and run snakemake again") from error


def _status_row(row: dict[str, Any]) -> StatusRow:
    values: dict[str, Any] = {key: float(value) if key.endswith("_s") else value for key, value in row.items()}
    return StatusRow(**values)


def rewrite_if_changed(path: Path, text: str) -> bool:
    """Write `text` unless the file holds it already, so that its time changes only with its content."""
    if path.exists() and path.read_bytes() == text.encode():
        return False
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8", newline="")
    return True


def _csv_text(table: list[list[str]]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(table)
    return buffer.getvalue()
