"""Labelled benchmarks as their authors ship them: HMDB51, UCF101, Kinetics, JHMDB."""

import os
from collections import Counter
from dataclasses import dataclass, replace

from pipeline_src.clips.benchmark_lists import ListedClip, read_lists
from pipeline_src.clips.folder import videos_of
from pipeline_src.clips.split_files import split_files
from pipeline_src.clips.video import Listing, Video
from pipeline_src.errors import UserError
from pipeline_src.settings.clips import BenchmarkSource

NAMED = 3


@dataclass(frozen=True)
class Official:
    """Official counts: clips, classes, and clips for training and testing in each split, where they are published."""

    clips: int
    classes: int
    splits: tuple[tuple[int, int], ...] = ()


# Kinetics has no count of its own: its lists are revised, and videos vanish.
OFFICIAL = {
    "hmdb51": Official(6766, 51, ((3570, 1530),) * 3),
    "ucf101": Official(13320, 101, ((9537, 3783), (9586, 3734), (9624, 3696))),
    "jhmdb": Official(928, 21),
}


def list_benchmark(source: BenchmarkSource, setting: str) -> Listing:
    """The clips of a benchmark that are there, by name, and one line that compares them with the official counts.

    The split files say which clips there are; a clip is found by class and name, whatever its suffix. Kinetics' part
    for testing is its validation list where no clip of a labelled test list is there.

    Args:
        source: its settings.
        setting: where they stand in the configuration.

    Raises:
        UserError: no class folders, none of the clips, a class without split file, a clip that is there twice, or
            split files that are missing or cannot be understood.
    """
    files = split_files(source, setting)
    listed = read_lists(source, files)
    disk = _on_disk(source, f"{setting}.path")
    if source.name in ("hmdb51", "jhmdb"):
        _check_classes(disk, {file.label for file in files}, source, setting)
    labelled = [clip for clip in listed if clip.label]
    found = _match(labelled, disk)
    if not found:
        such = f", such as {labelled[0].names[0]!r}" if labelled else ""
        raise UserError(
            f"{setting}.path: {source.path!r} has none of the {len(labelled)} clips with a class that the split files"
            f" name{such} - allowed: the folder of {source.name}"
        )
    remarks = []
    if source.name == "kinetics" and all(clip.parts != ("test",) for clip in found.values()):
        found = {name: replace(clip, parts=_validation_for_test(clip.parts)) for name, clip in found.items()}
        remarks.append("no clip of a labelled test list is there: the validation list is the test part")
    if len(labelled) < len(listed):
        remarks.append(f"{_many(len(listed) - len(labelled), 'clip')} whose labels are held back left out")
    extra = sorted(disk.keys() - found.keys())
    if extra:
        remarks.append(f"{_many(len(extra), 'video')} that no split file names left out, first {extra[0]!r}")
    videos = [
        Video(name, os.path.join(source.path, name), clip.source_video or name, clip.label, clip.parts)
        for name, clip in sorted(found.items())
    ]
    return Listing(videos, _note(source, labelled, found, remarks))


def _note(source: BenchmarkSource, listed: list[ListedClip], found: dict[str, ListedClip], remarks: list[str]) -> str:
    """One line: what is there of the official clips, classes and splits, and further remarks."""
    there = {clip.names for clip in found.values()}
    missing = [clip.names[0] for clip in listed if clip.names not in there]
    told = [_counted(source, len(found), missing), *_classes(source, listed, found), *_splits(source, found), *remarks]
    if missing or (source.name in OFFICIAL and OFFICIAL[source.name].clips != len(found)):
        told.append("results on a part of a benchmark do not compare with published ones")
    return "; ".join(told)


def _on_disk(source: BenchmarkSource, setting: str) -> dict[str, str]:
    """Key ("class/name" without suffix, for Kinetics the name alone) of each video, by its path in the folder."""
    names = videos_of(source.path, setting)
    if not any("/" in name or source.name == "kinetics" for name in names):
        raise UserError(
            f"{setting}: {source.path!r} has no class folder with videos - allowed: the folder of {source.name}, with"
            " a folder for each class"
        )
    disk = {}
    for name in names:
        folder, _, file = name.rpartition("/")
        stem = os.path.splitext(file)[0]
        disk[name] = stem if source.name == "kinetics" else f"{folder.rpartition('/')[2]}/{stem}"
    twice = [key for key, count in Counter(disk.values()).items() if count > 1]
    if twice:
        first = [name for name, key in disk.items() if key == twice[0]]
        raise UserError(
            f"{setting}: {_many(len(twice), 'clip')} there twice, first {first[0]!r} and {first[1]!r}; keep one"
        )
    return disk


def _check_classes(disk: dict[str, str], known: set[str], source: BenchmarkSource, setting: str) -> None:
    for name, key in disk.items():
        label = key.partition("/")[0]
        if label and label not in known:
            folder = os.path.join(source.path, os.path.dirname(name))
            raise UserError(
                f"{setting}: no split file for the class of {folder!r} - allowed: {label}_test_split1.txt beside the"
                " other split files, or no such folder"
            )


def _match(listed: list[ListedClip], disk: dict[str, str]) -> dict[str, ListedClip]:
    """The listed clips that are there, by path in the folder. Archives differ in the case of some of UCF101's names."""
    exact = {key: name for name, key in disk.items()}
    folded = {key.casefold(): name for key, name in exact.items()}
    found: dict[str, ListedClip] = {}
    for clip in listed:
        places = (exact.get(name) or folded.get(name.casefold()) for name in clip.names)
        place = next((place for place in places if place), None)
        if place is None:
            continue
        other = found.setdefault(place, clip)
        if (other.label, other.parts) != (clip.label, clip.parts):
            raise UserError(
                f"{place!r} may be {other.names[0]!r} ({other.label}) or {clip.names[0]!r} ({clip.label}) of the split"
                " files; rename it to one of them"
            )
    return found


def _validation_for_test(parts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple("test" if part == "validation" else part for part in parts)


def _counted(source: BenchmarkSource, there: int, missing: list[str]) -> str:
    listed = there + len(missing)
    official = OFFICIAL[source.name].clips if source.name in OFFICIAL else None
    if official is None:
        text = f"{there} of the {listed} clips that its lists name are there"
    elif there == official == listed:
        return f"{source.name}: all {official} official clips are there"
    else:
        text = f"{there} of the official {official} clips are there"
        text += f" (the split files name {listed})" if listed != official else ""
    return f"{source.name}: {text}" + (f"; {len(missing)} missing, first {missing[0]!r}" if missing else "")


def _classes(source: BenchmarkSource, listed: list[ListedClip], found: dict[str, ListedClip]) -> list[str]:
    there = {clip.label for clip in found.values()}
    named = {clip.label for clip in listed}
    official = OFFICIAL[source.name].classes if source.name in OFFICIAL else len(named)
    if len(there) == official:
        return []
    without = sorted(named - there)
    return [f"{len(there)} of {official} classes" + (f", without {_first(without)}" if without else "")]


def _splits(source: BenchmarkSource, found: dict[str, ListedClip]) -> list[str]:
    """Clips for training and testing in each split that differs from the official one; all where none is published."""
    official = OFFICIAL[source.name].splits if source.name in OFFICIAL else ()
    told = []
    for k in range(source.split_count):
        count = Counter(clip.parts[k] for clip in found.values())
        if not official:
            told.append(f"split {k + 1} has {count['train']} train and {count['test']} test clips")
        elif (count["train"], count["test"]) != official[k]:
            train, test = official[k]
            told.append(f"split {k + 1} has {count['train']} of {train} train and {count['test']} of {test} test clips")
    return told


def _many(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _first(names: list[str]) -> str:
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
