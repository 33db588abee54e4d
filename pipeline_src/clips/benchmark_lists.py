"""What the split files of a benchmark say: class, part in each split and file name of every clip."""

import csv
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pipeline_src.clips.split_files import SplitFile
from pipeline_src.errors import UserError
from pipeline_src.settings.clips import BenchmarkSource

MAX_BYTES = 128 * 1024 * 1024  # Kinetics-700's training list has 35 MB.
MAX_LINE = 4096
MAX_LABEL = 200
CODES = {"0": "unused", "1": "train", "2": "test"}
KINETICS_PARTS = {
    "train": "train",
    "val": "validation",
    "validate": "validation",
    "validation": "validation",
    "test": "test",
}
KINETICS_COLUMNS = ("youtube_id", "time_start", "time_end", "split")
YOUTUBE_ID = re.compile(r"[A-Za-z0-9_-]{11}")
# Visible body parts, camera motion, people, viewpoint, quality and number, which HMDB51's names end with.
HMDB_TAGS = re.compile(r"_[fuhl]_(nm|cm)_np\d+_(ba|fr|le|ri)_(bad|med|goo)_\d+")
UCF_LINE = re.compile(r"(?P<label>[^/]+)/(?P<name>.+?)(\s+(?P<number>\d+))?")
UCF_NAME = re.compile(r"(v_.+_g\d+)_c\d+")


@dataclass(frozen=True)
class ListedClip:
    """A clip that split files name.

    Attributes:
        label: its class; "" where the authors hold it back.
        parts: train, validation, test or unused in each split.
        names: file names without suffix that it may have, the likeliest first; "class/name" but for Kinetics.
        source_video: the video it was cut from; "" where its name does not say.
    """

    label: str
    parts: tuple[str, ...]
    names: tuple[str, ...]
    source_video: str


def read_lists(source: BenchmarkSource, files: list[SplitFile]) -> list[ListedClip]:
    """All clips that the split files name, in their order.

    Raises:
        UserError: a file that cannot be read, a line that cannot be understood, or two that contradict each
            other; names file and line.
    """
    read: dict[str, Callable[[list[SplitFile], int], list[ListedClip]]] = {
        "hmdb51": _read_class_by_class,
        "jhmdb": _read_class_by_class,
        "ucf101": _read_ucf,
        "kinetics": _read_kinetics,
    }
    return read[source.name](files, source.split_count)


def hmdb_source_video(name: str, label: str) -> str:
    """The source video that HMDB51 names in a file name, {video}_{action}_{tags}; "" where the tags are not there.

    >>> hmdb_source_video("April_09_brush_hair_u_nm_np1_ba_goo_0", "brush_hair")
    'April_09'
    """
    tags = list(HMDB_TAGS.finditer(name))
    if not tags or tags[-1].end() != len(name):
        return ""
    return name[: tags[-1].start()].removesuffix(f"_{label}")


def _read_class_by_class(files: list[SplitFile], splits: int) -> list[ListedClip]:
    """Lines `name.avi 1` in a file per class and split (Kuehne et al. 2011, Jhuang et al. 2013)."""
    parts: dict[tuple[str, str], list[str]] = {}
    for file in files:
        for where, line in _lines(file.path):
            name, _, code = line.rpartition(" ")
            if code not in CODES:
                raise UserError(f"{where}: {line!r} - allowed: a file name and 0 (unused), 1 (train) or 2 (test)")
            _assign(parts, (file.label, _stem(name.strip(), where)), file.split, CODES[code], splits, where)
    return [
        ListedClip(label, tuple(found), (f"{label}/{name}",), hmdb_source_video(name, label))
        for (label, name), found in parts.items()
    ]


def _read_ucf(files: list[SplitFile], splits: int) -> list[ListedClip]:
    """Lines `Class/name.avi 1` for training and `Class/name.avi` for testing (Soomro et al. 2012)."""
    numbers = _class_numbers(next(file.path for file in files if file.split == 0))
    parts: dict[tuple[str, str], list[str]] = {}
    labels: dict[str, str] = {}
    for file in files:
        if file.split == 0:
            continue
        for where, line in _lines(file.path):
            match = UCF_LINE.fullmatch(line)
            if match is None:
                raise UserError(f"{where}: {line!r} - allowed: Class/name.avi, and in a training list its number")
            label, number, name = match["label"], match["number"], _stem(match["name"], where)
            if label not in numbers:
                raise UserError(f"{where}: class {label!r} - allowed: those of classInd.txt")
            if number and number != numbers[label]:
                raise UserError(
                    f"{where}: {label!r} has the number {number} - allowed: {numbers[label]}, as in classInd.txt"
                )
            if labels.setdefault(name, label) != label:
                raise UserError(f"{where}: {name!r} is of class {label!r}, but elsewhere of {labels[name]!r}; keep one")
            _assign(parts, (label, name), file.split, file.part, splits, where)
    found = []
    for (label, name), its in parts.items():
        group = UCF_NAME.fullmatch(name)
        found.append(ListedClip(label, tuple(its), (f"{label}/{name}",), group.group(1) if group else ""))
    return found


def _class_numbers(path: str) -> dict[str, str]:
    """Number by class, of lines `1 Class`."""
    numbers: dict[str, str] = {}
    labels: dict[str, str] = {}
    for where, line in _lines(path):
        number, _, label = line.partition(" ")
        label = label.strip()
        if not number.isdecimal() or not label or label in numbers or number in labels:
            raise UserError(f"{where}: {line!r} - allowed: a number and a class, each once")
        numbers[label], labels[number] = number, label
    return numbers


def _assign(
    parts: dict[tuple[str, str], list[str]], clip: tuple[str, str], split: int, part: str, splits: int, where: str
) -> None:
    """Put a clip into a part of a split; it may be named again, but not in another part."""
    its = parts.setdefault(clip, ["unused"] * splits)
    if its[split - 1] not in ("unused", part):
        raise UserError(f"{where}: {clip[1]!r} is for {its[split - 1]} and for {part} in split {split}; keep one")
    its[split - 1] = part


def _read_kinetics(files: list[SplitFile], _: int) -> list[ListedClip]:
    """Rows label,youtube_id,time_start,time_end,split (Kay et al. 2017); test lists may lack labels."""
    found: dict[tuple[str, int, int], tuple[str, str, str]] = {}
    for file in files:
        for where, row in _rows(file.path):
            video = row["youtube_id"].strip()
            if not YOUTUBE_ID.fullmatch(video):
                raise UserError(f"{where}, column youtube_id: {video!r} - allowed: the 11 characters of a YouTube id")
            start, end = (_second(row, column, where) for column in ("time_start", "time_end"))
            part = KINETICS_PARTS.get(row["split"].strip().lower(), "")
            if not part:
                raise UserError(
                    f"{where}, column split: {row['split']!r} - allowed: train, val, validate, validation or test"
                )
            label = row.get("label", "").strip()
            if len(label) > MAX_LABEL or (not label and part != "test"):
                raise UserError(
                    f"{where}, column label: {label[:MAX_LABEL]!r} - allowed: a class of at most {MAX_LABEL} characters"
                )
            earlier = found.setdefault((video, start, end), (label, part, where))
            if earlier[:2] != (label, part):
                raise UserError(
                    f"{where}: {video} is {label!r} for {part}, but {earlier[0]!r} for {earlier[1]} in {earlier[2]};"
                    " keep one of them"
                )
    return [
        ListedClip(label, (part,), (f"{video}_{start:06d}_{end:06d}", video), video)
        for (video, start, end), (label, part, _) in found.items()
    ]


def _rows(path: str) -> Iterator[tuple[str, dict[str, str]]]:
    have: list[str] = []
    for where, line in _lines(path):
        try:
            values = next(csv.reader([line], strict=True))
        except csv.Error as error:
            raise UserError(f"{where}: not a row of CSV ({error})") from error
        if not have:
            have = values
            if set(KINETICS_COLUMNS) - set(have) or len(set(have)) != len(have):
                raise UserError(
                    f"{where}: columns {', '.join(have)} - allowed: label, {', '.join(KINETICS_COLUMNS)}, each once"
                )
        elif len(values) != len(have):
            raise UserError(f"{where}: {len(values)} fields - allowed: {len(have)}, as in the header")
        else:
            yield where, dict(zip(have, values, strict=True))


def _second(row: dict[str, str], column: str, where: str) -> int:
    text = row[column].strip()
    # The bound keeps names of files short.
    if not re.fullmatch(r"\d{1,6}(\.0*)?", text, re.ASCII):
        raise UserError(f"{where}, column {column}: {text!r} - allowed: a whole number of seconds from 0 to 999999")
    return int(text.partition(".")[0])


def _lines(path: str) -> Iterator[tuple[str, str]]:
    """Place and text of each line but empty ones, which count along."""
    try:
        if os.path.getsize(path) > MAX_BYTES:
            raise UserError(f"{path}: {os.path.getsize(path)} bytes - allowed: at most {MAX_BYTES}")
        with open(path, encoding="utf-8-sig") as file:
            for number, line in enumerate(file, 1):
                text, where = line.strip(), f"{path} line {number}"
                if len(text) > MAX_LINE:
                    raise UserError(f"{where}: {len(text)} characters - allowed: at most {MAX_LINE}")
                if not text.isprintable():
                    raise UserError(f"{where}: {text!r} - allowed: printable characters")
                if text:
                    yield where, text
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeError as error:
        raise UserError(f"{path}: not text in UTF-8 ({error})") from error


def _stem(name: str, where: str) -> str:
    """A file name without its suffix; a path or a hidden file is refused."""
    if not name or "/" in name or "\\" in name or name.startswith("."):
        raise UserError(f"{where}: {name!r} - allowed: the name of a file in the folder of its class")
    return os.path.splitext(name)[0]
