"""The rows that clip stages hand to each other, and their CSV files."""

import csv
import io
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline_src.errors import UserError
from pipeline_src.files import whole_file

Status = Literal[
    "ok",
    "missing",
    "unavailable",
    "timed_out",
    "over_limits",
    "other",
    "no_video",
    "undecodable",
]
PLAN_COLUMNS = ("clip_id", "path", "start_s", "duration_s", "source_video", "content", "label")


@dataclass(frozen=True)
class ClipRow:
    """A planned clip.

    Attributes:
        clip_id: unique in its collection and safe as a file name.
        path: a file, as seen from the working directory, or an http(s) URL.
        start_s: start in seconds after the first frame.
        duration_s: length in seconds; None takes everything from the start on.
        source_video: the video that the clip was cut from; groups clips.
        content: fingerprint of a local file; "" for a URL and for a file that cannot be read or is empty.
        label: class; "" in an unlabelled collection.
        splits: train, validation, test or unused in each split; () in an unlabelled collection.
    """

    clip_id: str
    path: str
    start_s: float
    duration_s: float | None
    source_video: str
    content: str
    label: str
    splits: tuple[str, ...]

    @property
    def end_s(self) -> float:
        """End in seconds; infinite for a clip that runs to the end of its video."""
        return float("inf") if self.duration_s is None else self.start_s + self.duration_s


@dataclass(frozen=True)
class StatusRow:
    """What became of a clip in a stage; `file` is the fetched file, "" where there is none."""

    clip_id: str
    status: Status
    reason: str = ""
    file: str = ""


@dataclass(frozen=True)
class Download:
    """What a download ended with; `file` is its path, "" unless ok."""

    status: Status
    reason: str = ""
    file: str = ""


def is_url(path: str) -> bool:
    """Whether a path is an http or https URL."""
    return re.match(r"https?://", path, re.IGNORECASE) is not None


def seconds_text(value: float) -> str:
    """A time in seconds to the millisecond, without trailing zeros."""
    return f"{value:.3f}".rstrip("0").rstrip(".")


def short_reason(text: str, *hidden: str) -> str:
    """One printable line of at most 160 characters that names no folder, URL query or memory address.

    Args:
        text: a message of a program.
        hidden: paths that the message may hold; only their last part is shown.
    """
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    line = re.sub(r"\x1b\[[0-9;]*m", "", line)
    for path in hidden:
        if path:
            line = line.replace(f"file:{path}", os.path.basename(path)).replace(path, os.path.basename(path))
    line = re.sub(r" @ 0x[0-9a-f]+", "", line)
    line = re.sub(r"(https?://[^\s?#'\"]*)[?#][^\s'\"]*", r"\1", line)
    line = "".join(character if character.isprintable() else " " for character in line)
    return re.sub(r"\s+", " ", line).strip()[:160]


def plan_text(rows: list[ClipRow], splits: int) -> str:
    """The content of a plan/{shard}.csv with `splits` split columns."""
    table = [[*PLAN_COLUMNS, *(f"split_{k}" for k in range(1, splits + 1))]]
    for row in rows:
        duration = "" if row.duration_s is None else seconds_text(row.duration_s)
        fixed = [
            row.clip_id,
            row.path,
            seconds_text(row.start_s),
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
                rows.append(ClipRow(start_s=float(row["start_s"]), duration_s=duration, splits=splits, **text))
    except (OSError, ValueError, KeyError, csv.Error) as error:
        raise UserError(
            f"{path}: not a readable plan ({error}); delete the plan folder and run snakemake again"
        ) from error
    return rows


def write_status(path: str | os.PathLike[str], rows: list[StatusRow], *, with_file: bool) -> None:
    """Write a status CSV: clip_id, status, reason and, for fetching, file."""
    columns = ["clip_id", "status", "reason", "file"][: 4 if with_file else 3]
    text = _csv_text([columns, *([getattr(row, name) for name in columns] for row in rows)])
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8", newline="")


def read_fetched(path: str | os.PathLike[str]) -> list[StatusRow]:
    """Read the status CSV of fetching.

    Raises:
        UserError: the file is no such CSV.
    """
    try:
        with open(path, newline="", encoding="utf-8") as file:
            return [StatusRow(**row) for row in csv.DictReader(file)]  # type: ignore[arg-type]
    except (OSError, TypeError, ValueError, csv.Error) as error:
        raise UserError(f"{path}: not a readable status file ({error}); delete it and run snakemake again") from error


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
