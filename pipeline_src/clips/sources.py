"""The videos of a collection: a folder, a CSV list, or the built-in world."""

import csv
import math
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline_src.clips.folder_state import list_videos
from pipeline_src.clips.rows import is_url, seconds_text
from pipeline_src.clips.splits import part_named
from pipeline_src.errors import UserError
from pipeline_src.settings.clips import CollectionSettings, FolderSource, ListSource, WorldSource


@dataclass(frozen=True)
class Video:
    """A video, or a listed piece of one, before clips are planned.

    Attributes:
        identity: stable name in its source: the path relative to the folder or as listed, or the URL.
        path: the file as seen from the working directory, or the URL.
        source_video: the video it was cut from; `identity` where the source names none.
        label: class, "" without labels.
        splits: its part in each split that the source names.
        start_s: start of the piece in seconds; None where the source names none.
    """

    identity: str
    path: str
    source_video: str
    label: str = ""
    splits: tuple[str, ...] = ()
    start_s: float | None = None


def list_source(collection: CollectionSettings, name: str, folder: Path) -> list[Video]:
    """All videos of a collection in a stable order.

    Args:
        collection: its settings.
        name: its name, for messages.
        folder: data/{collection}, which holds the rendered world.

    Raises:
        UserError: no videos, or a list with a wrong value; names the setting or the line.
    """
    source = collection.source
    if isinstance(source, FolderSource):
        return _from_folder(source, f"collections.{name}.source.path")
    if isinstance(source, ListSource):
        return _from_list(source, f"collections.{name}.source")
    return _from_list(_world_list(source, folder), f"collections.{name}.source")


def _from_folder(source: FolderSource, setting: str) -> list[Video]:
    if not os.path.isdir(source.path):
        raise UserError(f"{setting}: {source.path!r} - allowed: an existing folder of videos")
    try:
        names = list_videos(source.path)
    except OSError as error:
        raise UserError(f"{setting}: {error.filename!r} - cannot be read: {error.strerror}") from error
    if not names:
        raise UserError(
            f"{setting}: {source.path!r} holds no video - allowed: a folder with files such as .mp4, .mkv or"
            " .webm; hidden files and links that leave the folder are not taken"
        )
    videos = []
    for name in names:
        label = ""
        if source.labels == "folder":
            label, _, rest = name.partition("/")
            if not rest:
                raise UserError(
                    f"{setting}: {os.path.join(source.path, name)!r} - with labels: folder each video must be"
                    " in a subfolder that names its class; move it"
                )
        videos.append(Video(name, os.path.join(source.path, name), name, label))
    return videos


def _world_list(source: WorldSource, folder: Path) -> ListSource:
    values = {"kind": "list", "path": str(folder / "world" / "videos.csv")}
    if source.part == "labelled":
        return ListSource.model_validate(
            {
                **values,
                "label_column": "label",
                "split_columns": ("split_1",),
                "source_video_column": "source_video",
            }
        )
    return ListSource.model_validate(values)


def _from_list(source: ListSource, setting: str) -> list[Video]:
    root = source.root if source.root is not None else os.path.dirname(source.path)
    videos: dict[tuple[str, str], Video] = {}
    lines: dict[tuple[str, str], int] = {}
    repeated = 0
    for line, row in _rows(source, setting):
        video = _video(source, root, f"{source.path} line {line}", row)
        key = (video.identity, "" if video.start_s is None else seconds_text(video.start_s))
        if key not in videos:
            videos[key], lines[key] = video, line
        elif videos[key] == video:
            repeated += 1
        else:
            raise UserError(
                f"{source.path} line {line}, column {source.path_column}: {video.identity!r} - also on line"
                f" {lines[key]} with other values; keep one of them"
            )
    if not videos:
        raise UserError(f"{setting}.path: {source.path!r} has no rows - allowed: a CSV file with a row for each video")
    if repeated:
        print(f"{source.path}: {repeated} repeated rows are left out", file=sys.stderr)
    return list(videos.values())


def _rows(source: ListSource, setting: str) -> Iterator[tuple[int, dict[str, str]]]:
    wanted = {
        "path_column": source.path_column,
        "start_column": source.start_column,
        "label_column": source.label_column,
        "source_video_column": source.source_video_column,
        **{f"split_columns[{k}]": column for k, column in enumerate(source.split_columns)},
    }
    try:
        with open(source.path, newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            have = [name or "" for name in reader.fieldnames or []]
            for key, column in wanted.items():
                if column is not None and column not in have:
                    raise UserError(
                        f"{setting}.{key}: {column!r} - not a column of {source.path}; allowed:"
                        f" {', '.join(have) or 'none, the file is empty'}"
                    )
            if len(set(have)) != len(have):
                raise UserError(f"{source.path}: columns {', '.join(have)} - allowed: each name once")
            for row in reader:
                where = f"{source.path} line {reader.line_num}"
                if None in row or None in row.values():
                    raise UserError(f"{where}: not {len(have)} fields as in the header; quote values with commas")
                if any("\0" in value for value in row.values()):
                    raise UserError(f"{where}: a NUL character - allowed: text")
                yield reader.line_num, row
    except OSError as error:
        raise UserError(f"{setting}.path: {source.path!r} - cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{setting}.path: {source.path!r} - not a CSV file in UTF-8 ({error})") from error


def _video(source: ListSource, root: str, where: str, row: dict[str, str]) -> Video:
    identity = row[source.path_column].strip()
    if not identity or ("://" in identity and not is_url(identity)):
        raise UserError(
            f"{where}, column {source.path_column}: {identity!r} - allowed: a path, or a URL that starts with http://"
            " or https://"
        )
    label = ""
    if source.label_column is not None:
        label = row[source.label_column].strip()
        if not label:
            raise UserError(f"{where}, column {source.label_column}: empty - allowed: the name of a class")
    grouped = row[source.source_video_column].strip() if source.source_video_column is not None else ""
    return Video(
        identity=identity,
        path=identity if is_url(identity) else os.path.join(root, identity),
        source_video=grouped or identity,
        label=label,
        splits=tuple(part_named(row[column], f"{where}, column {column}") for column in source.split_columns),
        start_s=None if source.start_column is None else _start(row[source.start_column], where, source.start_column),
    )


def _start(text: str, where: str, column: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    # The bound keeps a typing error such as milliseconds from asking for a place that no video has.
    if not 0 <= value <= 1e7:
        raise UserError(f"{where}, column {column}: {text!r} - allowed: a number of seconds from 0 to 10000000")
    return value
