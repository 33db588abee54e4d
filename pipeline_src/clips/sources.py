"""The videos of a collection: a folder, a CSV list, a benchmark, or the built-in world."""

import csv
import hashlib
import math
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from pipeline_src.clips.benchmarks import list_benchmark
from pipeline_src.clips.folder import videos_of
from pipeline_src.clips.rows import is_url, seconds_text, told_address
from pipeline_src.clips.splits import part_named
from pipeline_src.clips.video import Listing, Video
from pipeline_src.errors import UserError
from pipeline_src.settings.clips import BenchmarkSource, CollectionSettings, FolderSource, ListSource, WorldSource

YOUTUBE_ID = re.compile(r"[A-Za-z0-9_-]{11}")


def list_source(collection: CollectionSettings, name: str, folder: Path) -> Listing:
    """All videos of a collection in a stable order.

    Args:
        collection: its settings.
        name: its name, for messages.
        folder: data/{collection}, which holds the rendered world or what a search found.

    Raises:
        UserError: no videos, or a list with a wrong value; names the setting or the line.
    """
    source, setting = collection.source, f"collections.{name}.source"
    if isinstance(source, BenchmarkSource):
        return list_benchmark(source, setting)
    if isinstance(source, FolderSource):
        return Listing(_from_folder(source, f"{setting}.path"))
    if isinstance(source, ListSource):
        return Listing(_from_list(source, setting))
    made = _world_list(source, folder) if isinstance(source, WorldSource) else _found_list(folder)
    return Listing(_from_list(made, setting))


def _from_folder(source: FolderSource, setting: str) -> list[Video]:
    names = videos_of(source.path, setting)
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


def _found_list(folder: Path) -> ListSource:
    path = str(folder / "sample" / "videos.csv")
    return ListSource(kind="list", path=path, path_column="video", duration_column="duration_s")


def _from_list(source: ListSource, setting: str) -> list[Video]:
    videos: dict[tuple[str, str], Video] = {}
    lines: dict[tuple[str, str], int] = {}
    repeated = 0
    for line, row in list_rows(source, setting):
        video = _video(source, f"{source.path} line {line}", row)
        key = (video.identity, "" if video.start_s is None else seconds_text(video.start_s))
        if key not in videos:
            videos[key], lines[key] = video, line
        elif videos[key] == video:
            repeated += 1
        else:
            raise UserError(
                f"{source.path} line {line}, column {source.path_column}: {told_address(video.identity)!r} - also on"
                f" line {lines[key]} with other values; keep one of them"
            )
    if not videos:
        raise UserError(f"{setting}.path: {source.path!r} has no rows - allowed: a CSV file with a row for each video")
    if repeated:
        print(f"{source.path}: {repeated} repeated rows are left out", file=sys.stderr)
    return list(videos.values())


def list_rows(source: ListSource, setting: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Number and values of each row of a list.

    Args:
        source: its settings.
        setting: where they stand, for messages.

    Raises:
        UserError: a list that cannot be read, lacks a column, or has a row of another length.
    """
    wanted = {
        "path_column": source.path_column,
        "start_column": source.start_column,
        "duration_column": source.duration_column,
        "label_column": source.label_column,
        "source_video_column": source.source_video_column,
        **{f"split_columns[{k}]": column for k, column in enumerate(source.split_columns)},
    }
    read = {".parquet": _parquet_rows, ".txt": _text_rows}.get(os.path.splitext(source.path)[1].lower(), _csv_rows)
    try:
        rows = read(source)
        have = next(rows)[1]
        told = ", ".join(map(told_address, have))  # A list without a header may begin with an address.
        for key, column in wanted.items():
            if column is not None and column not in have:
                raise UserError(
                    f"{setting}.{key}: {column!r} - not a column of {source.path}; allowed:"
                    f" {told or 'none, the file is empty'}"
                )
        if len(set(have)) != len(have):
            raise UserError(f"{source.path}: columns {told} - allowed: each name once")
        for line, values in rows:
            if any("\0" in value for value in values):
                raise UserError(f"{source.path} line {line}: a NUL character - allowed: text")
            row = dict(zip(have, values, strict=True))
            for column in wanted.values():
                if column is not None and not row[column].isprintable():
                    where = f"{source.path} line {line}, column {column}"
                    raise UserError(f"{where}: {told_address(row[column])!r} - allowed: printable characters")
            yield line, row
    except OSError as error:
        raise UserError(f"{setting}.path: {source.path!r} - cannot be read: {error.strerror or error}") from error
    except (ValueError, csv.Error) as error:
        kind = "a parquet file" if read is _parquet_rows else "a text or CSV file in UTF-8"
        raise UserError(f"{setting}.path: {source.path!r} - not {kind} ({error})") from error


def _csv_rows(source: ListSource) -> Iterator[tuple[int, list[str]]]:
    with open(source.path, newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file, strict=True)
        have = next(reader, [])
        yield 1, have
        for values in reader:
            if not values:
                continue
            if len(values) != len(have):
                where = f"{source.path} line {reader.line_num}"
                raise UserError(f"{where}: not {len(have)} fields as in the header; quote values with commas")
            yield reader.line_num, values


def _text_rows(source: ListSource) -> Iterator[tuple[int, list[str]]]:
    yield 0, [source.path_column]
    with open(source.path, encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if line.strip() and not line.startswith("#"):
                yield number, [line.strip()]


def _parquet_rows(source: ListSource) -> Iterator[tuple[int, list[str]]]:
    import pyarrow
    import pyarrow.parquet

    number = 0
    with pyarrow.parquet.ParquetFile(source.path) as file:
        yield 0, file.schema_arrow.names
        for batch in file.iter_batches(batch_size=65536):
            for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                number += 1
                yield number, ["" if value is None else str(value) for value in row]


def _video(source: ListSource, where: str, row: dict[str, str]) -> Video:
    identity = row[source.path_column].strip()
    path = place_of(identity, source)
    if not identity or ("://" in identity and not is_url(identity)):
        raise UserError(
            f"{where}, column {source.path_column}: {told_address(identity)!r} - allowed: a path, a URL that starts"
            " with http:// or https://, or a YouTube id"
        )
    label = ""
    if source.label_column is not None:
        label = row[source.label_column].strip()
        if not label:
            raise UserError(f"{where}, column {source.label_column}: empty - allowed: the name of a class")
    grouped = row[source.source_video_column].strip() if source.source_video_column is not None else ""
    return Video(
        identity=identity,
        path=path,
        source_video=without_secrets(grouped or identity),
        label=label,
        splits=tuple(part_named(row[column], f"{where}, column {column}") for column in source.split_columns),
        start_s=_seconds(row, source.start_column, where, needed=True),
        duration_s=_seconds(row, source.duration_column, where, needed=False),
    )


def without_secrets(identity: str) -> str:
    """A name for tables: what is not told of an address, such as a token, as its hash; all else as it is."""
    told = told_address(identity)
    base, *query = re.split(r"[?#]", identity, maxsplit=1) if is_url(identity) else [identity]
    hidden = query if told == base else [identity]
    return f"{told}#{hashlib.sha256(hidden[0].encode()).hexdigest()[:12]}" if hidden else told


def place_of(identity: str, source: ListSource) -> str:
    """The path or URL that a list's entry stands for."""
    if is_url(identity):
        return identity
    path = os.path.join(os.path.dirname(source.path) if source.root is None else source.root, identity)
    if YOUTUBE_ID.fullmatch(identity) and not os.path.exists(path):
        return f"https://www.youtube.com/watch?v={identity}"
    return path


def _seconds(row: dict[str, str], column: str | None, where: str, *, needed: bool) -> float | None:
    if column is None or (not needed and not row[column].strip()):
        return None
    try:
        value = float(row[column])
    except ValueError:
        value = math.nan
    # The bound keeps a typing error such as milliseconds from asking for a place that no video has.
    if not 0 <= value <= 1e7:
        found = told_address(row[column])
        raise UserError(f"{where}, column {column}: {found!r} - allowed: a number of seconds from 0 to 10000000")
    return value
