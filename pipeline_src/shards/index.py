"""The index of a collection: what its shards hold, in two files.

index.json    shards with counts and content hashes, per modality the shape, attributes, mean and deviation
clips.csv     one row per usable clip: clip_id, shard, row, frames, has_sound, source_video, label, split_1..k
"""

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline_src.errors import UserError
from pipeline_src.files import read_json, whole_file, write_json
from pipeline_src.shards.format import OWN_ATTRIBUTES
from pipeline_src.shards.names import is_retried
from pipeline_src.shards.reader import ShardReader

MODALITY_FILES = {"rgb": "frames", "flow": "flow", "grey": "grey", "audio": "audio"}


@dataclass(frozen=True)
class Collection:
    """An indexed collection.

    Attributes:
        folder: data/{collection}.
        index: the content of index.json.
        clips: the content of clips.csv; `label` and split columns are strings, empty where there are none.
        scratch: where readers put copies of shards and read those; see shards.scratch.
    """

    folder: Path
    index: dict[str, Any]
    clips: pd.DataFrame
    scratch: Path | None = None

    @classmethod
    def open(cls, index_path: str | os.PathLike[str]) -> "Collection":
        """Open data/{collection}/index.json."""
        path = Path(index_path)
        clips = read_table(path.parent / "clips.csv")
        return cls(path.parent, read_json(path), clips.astype(dict.fromkeys(("row", "frames", "has_sound"), int)))

    def reader(self, modality: str, shard: str) -> ShardReader:
        """Reader of one shard; modality is rgb, flow, grey, audio or sound."""
        path = self.folder / MODALITY_FILES.get(modality, modality) / f"{shard}.h5"
        if self.scratch is not None:
            from pipeline_src.shards.scratch import copied

            path = copied(path, self.scratch)
        return ShardReader(path)

    def statistics(self, modality: str) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation per channel, float32, in stored units (8-bit modalities: 0 to 255)."""
        entry = self.describe(modality)
        return np.asarray(entry["mean"], np.float32), np.asarray(entry["std"], np.float32)

    def describe(self, modality: str) -> dict[str, Any]:
        """The modality's part of the index: item_shape, attributes, mean, std.

        Raises:
            UserError: the collection has no such modality.
        """
        found = self.index["modalities"].get(modality)
        if found is None:
            raise UserError(
                f"collections.{self.folder.name}.modalities: {', '.join(self.index['modalities'])} -"
                f" must include {modality}"
            )
        return dict(found)


def build_index(
    folder: Path, shards: list[str], modalities: list[str], out: Path, clips_out: Path, min_success: float
) -> None:
    """Write index.json and clips.csv of a collection from its shards, plan and status files.

    A clip that failed in one shard may stand again in a later one, where it was tried again: it counts once. Spare
    candidates that were not needed do not count.

    Mean and standard deviation are taken over every value of a modality, per channel of pictures. Flow's
    attributes clipped_fraction and roundtrip_error are those of the whole collection.

    Raises:
        UserError: fewer usable clips than `min_success` of those planned, or shards that do not match their
            plan or each other.
    """
    if "rgb" not in modalities:
        raise UserError(f"collections.{folder.name}.modalities: {', '.join(modalities)} - must include rgb")
    tables, statuses, entries, plans = [], [], [], []
    gathered = {name: _Modality(name) for name in modalities}
    for shard in shards:
        plan = read_table(folder / "plan" / f"{shard}.csv")
        status = read_statuses(folder, shard, modalities)
        readers = {name: ShardReader(folder / MODALITY_FILES[name] / f"{shard}.h5") for name in modalities}
        _check_rows(folder, shard, plan, status, readers)
        for name, reader in readers.items():
            gathered[name].add(reader)
        frames = readers["rgb"].lengths
        usable = (frames > 0) & (status["status"] != "no_flow").to_numpy()
        sound = readers["audio"].lengths > 0 if "audio" in readers else np.zeros(len(plan), bool)
        table = plan.assign(shard=shard, row=range(len(plan)), frames=frames, has_sound=sound.astype(int))
        splits = [name for name in plan.columns if name.startswith("split_")]
        columns = ["clip_id", "shard", "row", "frames", "has_sound", "source_video", "label", *splits]
        tables.append(table.loc[usable, columns])
        if not is_retried(shard):
            plans.append(plan.set_index("clip_id")[["source_video", "label", *splits]])
        statuses.append(status)
        hashes = {MODALITY_FILES[name]: str(reader.attributes["content_hash"]) for name, reader in readers.items()}
        entries.append({"shard": shard, "clips": len(plan), "usable": int(usable.sum()), "content_hash": hashes})
    if not any(entry["clips"] for entry in entries):
        raise UserError(f"collections.{folder.name}.source: no clips are planned - allowed: a source with videos")
    # The plan of a clip's first try is the one that people correct.
    first = pd.concat(plans)
    clips = pd.concat(tables, ignore_index=True).drop_duplicates("clip_id")
    clips = clips[clips["clip_id"].isin(first.index)].reset_index(drop=True)
    clips[first.columns] = first.loc[clips["clip_id"]].to_numpy()
    failed = failed_clips(statuses)
    failed = failed[failed["clip_id"].isin(first.index)]
    planned = len(clips) + len(failed)
    _require(folder.name, planned, len(clips), failed, min_success)
    with whole_file(clips_out) as part:
        clips.to_csv(part, index=False, lineterminator="\n")
    write_json(
        out,
        {
            "collection": folder.name,
            "planned": planned,
            "usable": len(clips),
            "with_sound": int(clips["has_sound"].sum()),
            "failed": failed["status"].value_counts().sort_index().to_dict(),
            "clips_sha256": hashlib.sha256(clips_out.read_bytes()).hexdigest(),
            "shards": entries,
            "modalities": {name: modality.described() for name, modality in gathered.items()},
        },
    )


def read_statuses(folder: Path, shard: str, modalities: Iterable[str]) -> pd.DataFrame:
    """What became of the clips of a shard: clip_id, status, reason of decoding, or of flow where that alone failed.

    Raises:
        UserError: decoding has left no table.
    """
    status = read_table(folder / "status" / "decode" / f"{shard}.csv")
    path = folder / "status" / "flow" / f"{shard}.csv"
    if "flow" in modalities and path.exists():
        flow = read_table(path).set_index("clip_id")[["status", "reason"]].reindex(status["clip_id"])
        lost = ((status["status"] == "ok").to_numpy()) & (flow["status"] == "no_flow").to_numpy()
        status.loc[lost, ["status", "reason"]] = flow.to_numpy()[lost]
    return status


def failed_clips(statuses: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """The last row of each clip that never was ok, without spare candidates that were not needed.

    Args:
        statuses: decode status tables (clip_id, status, reason), those of clips that were tried again last.
    """
    told = pd.concat(statuses, ignore_index=True)
    recovered = told.loc[told["status"] == "ok", "clip_id"]
    last = told.drop_duplicates("clip_id", keep="last")
    return last[(last["status"] != "spare") & ~last["clip_id"].isin(recovered)]


class _Modality:
    """What the shards of one modality have in common, and the sums of their moments."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._common: dict[str, Any] | None = None
        self._moments = np.zeros((3, 1))
        self._clipped = self._squared_error = 0.0

    def add(self, reader: ShardReader) -> None:
        plain = {key: value.tolist() if hasattr(value, "tolist") else value for key, value in reader.attributes.items()}
        if plain.get("modality") != MODALITY_FILES[self._name]:
            raise UserError(f"{reader.path}: holds {plain.get('modality')}; delete it and run snakemake again")
        self._moments = self._moments + reader.moments
        values = reader.moments[0].sum()
        self._clipped += plain.pop("clipped_fraction", 0.0) * values
        self._squared_error += plain.pop("roundtrip_error", 0.0) ** 2 * values
        plain = {key: value for key, value in plain.items() if key not in OWN_ATTRIBUTES}
        common = {"item_shape": list(reader.item_shape), "attributes": plain}
        if self._common is None:
            self._common = common
        if common != self._common:
            raise UserError(
                f"{reader.path}: {common} differs from other shards of the collection, {self._common};"
                " delete the older ones and run snakemake again"
            )

    def described(self) -> dict[str, Any]:
        count, total, squares = self._moments
        mean = total / np.maximum(count, 1)
        std = np.sqrt(np.maximum(squares / np.maximum(count, 1) - mean**2, 0))
        found = dict(self._common or {})
        if self._name == "flow":
            values = max(count.sum(), 1)
            found["attributes"] = {
                **found["attributes"],
                "clipped_fraction": float(self._clipped / values),
                "roundtrip_error": float(np.sqrt(self._squared_error / values)),
            }
        # A constant modality, such as silence, must not become a division by zero.
        return {**found, "mean": mean.tolist(), "std": np.where(std > 1e-6, std, 1.0).tolist()}


def read_table(path: Path, columns: Iterable[str] = ()) -> pd.DataFrame:
    """A CSV file with every value as written: a class, a clip or an entry may be called 007, null or nan.

    Raises:
        UserError: the file is missing, broken or lacks one of these columns.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8")
    except FileNotFoundError as error:
        raise UserError(f"{path}: missing; run snakemake to make it") from error
    except ValueError as error:
        raise UserError(f"{path}: not a readable table ({error}); delete it and run snakemake again") from error
    lacking = [name for name in columns if name not in table]
    if lacking:
        raise UserError(f"{path}: lacks the columns {', '.join(lacking)}; delete it and run snakemake again")
    return table


def _check_rows(
    folder: Path, shard: str, plan: pd.DataFrame, status: pd.DataFrame, readers: dict[str, ShardReader]
) -> None:
    ids = plan["clip_id"].tolist()
    if status["clip_id"].tolist() != ids:
        path = folder / "status" / "decode" / f"{shard}.csv"
        raise UserError(f"{path}: its clips differ from plan/{shard}.csv; delete it and run snakemake again")
    frames = readers["rgb"].lengths
    moving = np.where(status["status"] == "no_flow", 0, np.maximum(frames - 1, 0))
    expected = {"rgb": frames, "grey": frames, "flow": moving}
    for name, reader in readers.items():
        if reader.clip_ids != ids:
            raise UserError(f"{reader.path}: its clips differ from plan/{shard}.csv; delete it and run snakemake again")
        if not np.array_equal(reader.lengths, expected.get(name, reader.lengths)):
            raise UserError(
                f"{reader.path}: its clips' lengths do not fit frames/{shard}.h5; delete it and run snakemake again"
            )


def _require(name: str, planned: int, usable: int, failed: pd.DataFrame, min_success: float) -> None:
    if usable and usable >= min_success * planned:
        return
    flow = " and status/flow/*.csv; another flow.method may do" if (failed["status"] == "no_flow").any() else ""
    counts = ", ".join(f"{count} {status}" for status, count in failed["status"].value_counts().items())
    first = "; ".join(f"{row.clip_id}: {row.reason}" for row in failed.head(3).itertuples())
    raise UserError(
        f"collections.{name}: {usable} of {planned} clips are usable ({counts}) - allowed: at least"
        f" min_success {min_success:g} of them and one clip. First: {first}."
        f" All are in {name}/status/decode/*.csv{flow}; mend the sources or lower min_success"
    )
