"""Whether a collection's files are those that its index describes, and which to remake where they are not."""

import hashlib
import tempfile
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline_src.errors import UserError
from pipeline_src.files import read_json
from pipeline_src.shards.examine import Contents, examine_all
from pipeline_src.shards.index import MODALITY_FILES, build_index, read_statuses, read_table
from pipeline_src.shards.names import is_retried

FRAMES_TO_STEPS: dict[str, Callable[[int], int]] = {"flow": lambda frames: max(frames - 1, 0), "grey": lambda n: n}


@dataclass(frozen=True)
class Problem:
    """A file that is not as it should be.

    Attributes:
        path: the file.
        reason: what is wrong with it.
        remove: the files to delete so that Snakemake makes them again, itself among them where it makes it.
    """

    path: Path
    reason: str
    remove: tuple[Path, ...]


def verify(folder: Path, processes: int, progress: Callable[[int], object] = lambda read: None) -> list[Problem]:
    """Check all files of data/{collection} against its index, its plan and each other.

    Args:
        folder: data/{collection}.
        processes: shards read at a time.
        progress: called with the number of bytes of data read since the last call.

    Returns:
        What is wrong, by path; empty where all is well.

    Raises:
        UserError: no folder of an indexed collection.
    """
    if not (folder / "index.json").is_file():
        raise UserError(
            f"{folder}: no index.json in it - allowed: a folder data/{{collection}} that snakemake finished"
        )
    return sorted(_Verification(folder).run(processes, progress), key=lambda problem: str(problem.path))


class _Verification:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._index_files = (folder / "index.json", folder / "clips.csv")
        self._plan_files = (folder / "plan" / "shards.json", folder / "plan" / "settings.json")
        self._problems: list[Problem] = []

    def run(self, processes: int, progress: Callable[[int], object]) -> list[Problem]:
        index = self._index()
        plan = self._plan(index)
        planned = {shard: self._planned(shard, content) for shard, content in plan.items()}
        modalities = self._modalities(index)
        hashes = {entry["shard"]: entry["content_hash"] for entry in index["shards"]} if index else {}
        # Sound is no modality of the index, but Snakemake makes it with the frames.
        paths = [self._folder / modality / f"{shard}.h5" for shard in plan for modality in (*modalities, "sound")]
        found = dict(examine_all(paths, processes, progress))
        for shard in plan:
            frames: Contents | None = None
            for modality in (*modalities, "sound"):  # Frames come first: only sound ones tell what the others need.
                path = self._folder / modality / f"{shard}.h5"
                if modality == "flow":
                    self._check_flow_status(shard, planned[shard])
                expected = hashes.get(shard, {}).get(modality)
                without = self._without_flow(shard) if modality == "flow" else set()
                reasons = _wrong(found[path], modality, expected, planned[shard], frames, without)
                if reasons:
                    self._problems.append(Problem(path, "; ".join(reasons), (path, *self._index_files)))
                elif modality == "frames":
                    frames = found[path]
        if index and not self._problems:
            self._compare_index(index, list(plan))
        return self._problems

    def _wrong_index(self, path: Path, reason: str) -> None:
        self._problems.append(Problem(path, reason, self._index_files))

    def _index(self) -> dict[str, Any] | None:
        path, clips = self._index_files
        try:
            index = read_json(path)
            {entry["shard"]: dict(entry["content_hash"]) for entry in index["shards"]}
            known = all(name in MODALITY_FILES for name in index["modalities"]) and "rgb" in index["modalities"]
            if not known or not isinstance(index["clips_sha256"], str):
                raise ValueError("unknown modalities")
        except (UserError, ValueError, KeyError, TypeError, AttributeError):
            self._wrong_index(path, "no index, or a damaged one")
            return None
        if not clips.is_file():
            self._wrong_index(clips, "missing")
        elif hashlib.sha256(clips.read_bytes()).hexdigest() != index["clips_sha256"]:
            self._wrong_index(clips, "differs from the table that index.json describes")
        return dict(index)

    def _plan(self, index: dict[str, Any] | None) -> dict[str, str]:
        """Shards and the fingerprints of their plans, "" where unknown."""
        path = self._plan_files[0]
        indexed = [str(entry["shard"]) for entry in index["shards"]] if index else []
        try:
            plan = {str(entry["shard"]): str(entry["content"]) for entry in read_json(path)["shards"]}
        except (OSError, UserError, ValueError, KeyError, TypeError):
            self._problems.append(Problem(path, "missing or damaged", (*self._plan_files, *self._index_files)))
            return dict.fromkeys(indexed, "")
        # Clips that were tried again stand in shards of their own, which the first plan does not name.
        plan.update(dict.fromkeys(filter(is_retried, indexed), ""))
        if index and list(plan) != indexed:
            differ = sorted(set(plan) ^ set(indexed)) or ["in another order"]
            self._wrong_index(self._index_files[0], f"its shards differ from the plan's: {', '.join(differ)}")
        return plan

    def _planned(self, shard: str, content: str) -> list[str] | None:
        """The clips of a shard's plan; None where the plan itself is damaged."""
        path = self._folder / "plan" / f"{shard}.csv"
        clips = _clip_ids(path, ("clip_id", "source_video"))
        if clips is None or (content and hashlib.sha256(path.read_bytes()).hexdigest()[:16] != content):
            reason = "missing or damaged" if clips is None else "differs from plan/shards.json"
            self._problems.append(Problem(path, reason, (*self._plan_files, *self._index_files)))
            return None
        status = self._folder / "status" / "decode" / f"{shard}.csv"
        if _clip_ids(status, ("clip_id", "status", "reason")) != clips:
            reason = f"missing, damaged or of other clips than plan/{shard}.csv"
            self._problems.append(Problem(status, reason, (status, *self._index_files)))
        return clips

    def _check_flow_status(self, shard: str, planned: list[str] | None) -> None:
        table = self._folder / "status" / "flow" / f"{shard}.csv"
        if planned is not None and _clip_ids(table, ("clip_id", "status", "reason")) != planned:
            reason = f"missing, damaged or of other clips than plan/{shard}.csv"
            files = (table, self._folder / "flow" / f"{shard}.h5", *self._index_files)
            self._problems.append(Problem(table, reason, files))

    def _without_flow(self, shard: str) -> set[str]:
        """Clips whose flow could not be made."""
        try:
            status = read_statuses(self._folder, shard, ["flow"])
            return set(status.loc[status["status"] == "no_flow", "clip_id"])
        except (OSError, UserError, ValueError, KeyError):
            return set()  # A damaged table is told on its own.

    def _modalities(self, index: dict[str, Any] | None) -> list[str]:
        """Folders of the modalities, frames first; without an index those that there are."""
        made = [MODALITY_FILES[name] for name in index["modalities"]] if index else []
        further = [
            name for name in MODALITY_FILES.values() if name in made or (not index and (self._folder / name).is_dir())
        ]
        return ["frames", *(name for name in further if name != "frames")]

    def _compare_index(self, index: dict[str, Any], shards: list[str]) -> None:
        """Build the index again from the sound shards: all of its numbers and the table must come out the same."""
        with tempfile.TemporaryDirectory() as name:
            again, clips = Path(name) / "index.json", Path(name) / "clips.csv"
            try:
                build_index(self._folder, shards, list(index["modalities"]), again, clips, 0.0)
            except (UserError, ValueError, KeyError) as error:
                self._wrong_index(self._index_files[0], f"cannot be made from its shards: {error}")
                return
            if read_json(again) != index:
                self._wrong_index(self._index_files[0], "differs from the index of its shards")


def _clip_ids(path: Path, columns: tuple[str, ...]) -> list[str] | None:
    """The clips of a table; None where it cannot be read or lacks a column."""
    try:
        return read_table(path)[list(columns)]["clip_id"].tolist()
    except (OSError, UserError, ValueError, KeyError):
        return None


def _wrong(
    found: Contents,
    modality: str,
    expected: str | None,
    planned: list[str] | None,
    frames: Contents | None,
    without: set[str],
) -> list[str]:
    """What is wrong with a shard's file, given its hash in the index, its plan and its frames; None where unknown.

    Clips of `without` have no steps.
    """
    if found.error:
        return [found.error]
    reasons = []
    if found.content_hash != found.recorded:
        reasons.append("damaged: its content differs from its own hash")
    elif expected is not None and found.content_hash != expected:
        reasons.append("whole, but not the shard that index.json describes")
    if found.modality != modality:
        reasons.append(f"holds {found.modality}")
    if planned is not None and list(found.clip_ids) != planned:
        number = next(
            (row for row, pair in enumerate(zip(found.clip_ids, planned, strict=False)) if pair[0] != pair[1]),
            min(len(found.clip_ids), len(planned)),
        )
        reasons.append(
            f"its {len(found.clip_ids)} clips differ from the plan's {len(planned)}, first in row {number + 1}"
        )
    elif modality in FRAMES_TO_STEPS and frames is not None and frames.clip_ids == found.clip_ids:
        steps = map(FRAMES_TO_STEPS[modality], frames.lengths)
        wanted = tuple(0 if clip in without else count for clip, count in zip(found.clip_ids, steps, strict=True))
        if found.lengths != wanted:
            number = next(row for row, pair in enumerate(zip(found.lengths, wanted, strict=True)) if pair[0] != pair[1])
            reasons.append(
                f"{found.clip_ids[number]} has {found.lengths[number]} steps - its {frames.lengths[number]} frames"
                f" need {wanted[number]}"
            )
    return reasons


def repair(problems: list[Problem]) -> tuple[list[Path], list[Path]]:
    """Files to delete and files to ask Snakemake for, so that it makes all again that is broken or made of it.

    A file that nothing asks for stays missing while what was made of it is newer, so everything is asked for by name.
    """
    by_path: dict[Path, None] = defaultdict(None)
    for problem in problems:
        by_path.update(dict.fromkeys(problem.remove))
    removed = sorted(by_path)
    made = [path for path in removed if path.name not in ("settings.json", "clips.csv")]
    return removed, made
