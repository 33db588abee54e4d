"""What the files of a folder or list are like. Light to import: the Snakefile does so at every parse."""

import csv
import hashlib
import os
from itertools import islice
from pathlib import Path

from pipeline_src.clips.folder import SUFFIXES, list_videos
from pipeline_src.clips.split_files import split_files
from pipeline_src.errors import UserError
from pipeline_src.settings.clips import BenchmarkSource, FolderSource, ListSource, WorldSource, YoutubeSource

TRACKED = 20_000


def folder_state(path: str | os.PathLike[str]) -> str:
    """Hash of relative path, size and modification time of the videos in a folder.

    Returns:
        16 hexadecimal digits, or "missing" for a folder that cannot be read.
    """
    digest = hashlib.sha256()
    try:
        for name in list_videos(path):
            found = os.stat(Path(path, name))
            digest.update(f"{name}\0{found.st_size}\0{found.st_mtime_ns}\n".encode())
    except OSError:
        return "missing"
    return digest.hexdigest()[:16]


def list_state(path: str | os.PathLike[str], column: str, root: str | os.PathLike[str] | None) -> str:
    """Hash of size and modification time of the local files that a list names.

    Only the first TRACKED rows of CSV and text lists are looked at: every job parses the workflow, and a list of
    millions names URLs. A file of another row that was replaced is noticed when the list changes.

    Args:
        path: the list.
        column: its column with paths or URLs.
        root: folder that relative paths start from; None for the list's own.

    Returns:
        16 hexadecimal digits, or "missing" for a list that cannot be read.
    """
    digest = hashlib.sha256()
    base = Path(path).parent if root is None else Path(root)
    suffix = Path(path).suffix.lower()
    try:
        with open(
            path, newline="", encoding="utf-8-sig", errors="strict" if suffix != ".parquet" else "replace"
        ) as file:
            rows = file if suffix == ".txt" else (row.get(column) or "" for row in csv.DictReader(file))
            for name in islice(rows if suffix != ".parquet" else (), TRACKED):
                name = name.strip()
                if "://" not in name and "\0" not in name:
                    found = os.stat(base / name) if (base / name).exists() else None
                    state = (found.st_size, found.st_mtime_ns) if found else None
                    digest.update(f"{name}\0{state}\n".encode())
    except (OSError, UnicodeError, csv.Error):
        return "missing"
    return digest.hexdigest()[:16]


def check_source(
    setting: str, source: WorldSource | FolderSource | ListSource | BenchmarkSource | YoutubeSource
) -> None:
    """Raise UserError when a folder, list or split file is not there, before anything runs.

    Args:
        setting: where the source stands in the configuration.
        source: its settings.
    """
    if source.kind in ("folder", "benchmark") and not os.path.isdir(source.path):
        raise UserError(f"{setting}.path: {source.path!r} - no such folder; allowed: a folder with videos")
    if source.kind == "folder" and not list_videos(source.path):
        raise UserError(
            f"{setting}.path: {source.path!r} - no video file in it; allowed: {', '.join(sorted(SUFFIXES))}"
        )
    if source.kind == "benchmark":
        split_files(source, setting)
    if source.kind == "list" and not os.path.isfile(source.path):
        raise UserError(
            f"{setting}.path: {source.path!r} - no such file; allowed: a CSV, parquet or text file with one video a row"
        )
