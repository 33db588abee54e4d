"""The files in which a benchmark's authors say which clip is for training and which for testing.

Light to import: the Snakefile does so at every parse, to rerun the plan when one of them changes.
"""

import os
import re
from dataclasses import dataclass

from pipeline_src.clips.folder import is_within
from pipeline_src.errors import UserError
from pipeline_src.settings.clips import BenchmarkSource

CLASS_BY_CLASS = re.compile(r"(?P<label>.+)_test_split(?P<split>\d)\.txt")
PATTERNS = {
    "hmdb51": CLASS_BY_CLASS,
    "jhmdb": CLASS_BY_CLASS,
    "ucf101": re.compile(r"(?P<part>train|test)list0?(?P<split>\d)\.txt|(?P<index>classInd\.txt)"),
    "kinetics": re.compile(r"(?:.*[_-])?(?P<part>train|val|validate|validation|test)\.csv"),
}
WANTED = {
    "hmdb51": "CLASS_test_split1.txt of each class and split",
    "jhmdb": "CLASS_test_split1.txt of each class and split",
    "ucf101": "classInd.txt, and trainlist01.txt and testlist01.txt of each split",
    "kinetics": "train.csv, and validate.csv (or val.csv) or test.csv",
}
# Where the archives put them, in the benchmark's folder or beside it.
FOLDERS = {
    "hmdb51": ("testTrainMulti_7030_splits", "test_train_splits", "splits"),
    "jhmdb": ("splits",),
    "ucf101": ("ucfTrainTestlist", "splits", "annotations"),
    "kinetics": ("annotations", "splits"),
}


@dataclass(frozen=True)
class SplitFile:
    """A split file.

    Attributes:
        path: where it is.
        split: number of the split from 1; 0 for UCF101's index of classes.
        label: the class that it is about; "" for all.
        part: train, validation or test; "" where its lines say so.
    """

    path: str
    split: int
    label: str = ""
    part: str = ""


def split_files(source: BenchmarkSource, setting: str) -> list[SplitFile]:
    """The split files of the splits that are used, by name.

    They are looked for in `source.split_folder`, or else in the benchmark's folder and beside it.

    Args:
        source: the benchmark.
        setting: where the source stands in the configuration.

    Raises:
        UserError: there are none, one is missing, or several say the same.
    """
    folders = [source.split_folder] if source.split_folder is not None else _places(source)
    for folder in folders:
        found = _in_folder(source, folder)
        if found:
            _check(source, found, f"{setting}.split_folder: {folder!r}")
            return found
    raise UserError(
        f"{setting}.split_folder: no split files of {source.name} in {', '.join(map(repr, folders))} - allowed: a"
        f" folder with {WANTED[source.name]}"
    )


def _places(source: BenchmarkSource) -> list[str]:
    beside = os.path.dirname(os.path.normpath(source.path))
    inner = [os.path.join(place, name) for place in (source.path, beside) for name in FOLDERS[source.name]]
    return [source.path, *inner, beside or "."]


def _in_folder(source: BenchmarkSource, folder: str) -> list[SplitFile]:
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return []
    base, found = os.path.realpath(folder), []
    for name in names:
        match = PATTERNS[source.name].fullmatch(name)
        if (
            match is None
            or name.startswith(".")
            or not name.isprintable()
            or not is_within(os.path.join(base, name), base)
        ):
            continue
        said = {key: value or "" for key, value in match.groupdict().items()}
        split = 0 if said.get("index") else int(said.get("split", "1"))
        if split <= source.split_count:
            part = "validation" if said.get("part", "").startswith("val") else said.get("part", "")
            found.append(SplitFile(os.path.join(folder, name), split, said.get("label", ""), part))
    return found


def _check(source: BenchmarkSource, found: list[SplitFile], where: str) -> None:
    have = {(file.split, file.label, file.part): file.path for file in found}
    if len(have) < len(found):
        twice = next(file for file in found if have[file.split, file.label, file.part] != file.path)
        other = have[twice.split, twice.label, twice.part]
        raise UserError(f"{where} has {twice.path!r} and {other!r} - allowed: one of them")
    splits = range(1, source.split_count + 1)
    if source.name == "ucf101":
        wanted = {(0, "", ""): "classInd.txt"}
        wanted |= {(k, "", part): f"{part}list{k:02d}.txt" for k in splits for part in ("train", "test")}
    elif source.name == "kinetics":
        wanted = {(1, "", "train"): "train.csv"}
        if not {(1, "", "validation"), (1, "", "test")} & have.keys():
            wanted[1, "", "validation"] = "validate.csv"
    else:
        labels = sorted({file.label for file in found})
        wanted = {(k, label, ""): f"{label}_test_split{k}.txt" for label in labels for k in splits}
    missing = [name for key, name in wanted.items() if key not in have]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise UserError(f"{where} lacks {missing[0]!r}{more} - allowed: a folder with {WANTED[source.name]}")
