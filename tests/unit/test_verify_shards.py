"""verify_shards finds every damage that would reach a network, and names what to remake."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

from pipeline_src.errors import UserError
from pipeline_src.files import write_json
from pipeline_src.shards import examine
from pipeline_src.shards.index import build_index
from pipeline_src.shards.reader import ShardReader
from pipeline_src.shards.verify import repair, verify
from pipeline_src.shards.writer import ShardWriter
from tests.tiny_run import ROOT

LENGTHS = {"000000": (5, 0, 9), "000001": (12, 3, 1)}
MODALITIES = ("frames", "flow", "grey", "audio", "sound")
INDEX = ["clips.csv", "index.json"]


def write_shard(folder: Path, modality: str, shard: str, clips: dict[str, int], **further: Any) -> Path:
    """A shard whose content depends on modality and shard; `clips` are names and frames."""
    random = np.random.default_rng(int(shard[:6]) * 10 + MODALITIES.index(modality))
    item, dtype, codec, steps = {
        "frames": ((8, 12, 3), np.uint8, "jpeg", lambda frames: frames),
        "flow": ((8, 12, 2), np.uint8, "lzf", lambda frames: max(frames - 1, 0)),
        "grey": ((8, 12, 1), np.uint8, "lzf", lambda frames: frames),
        "audio": ((4,), np.float16, "lzf", lambda frames: frames * 5),
        "sound": ((), np.int16, "lzf", lambda frames: frames * 50),
    }[modality]
    path = folder / modality / f"{shard}.h5"
    attributes = {"frame_rate": 8.0, "units": modality, **further}
    with ShardWriter(
        path, modality=modality, item_shape=item, dtype=dtype, codec=codec, attributes=attributes
    ) as writer:
        for clip_id, frames in clips.items():
            writer.add(clip_id, random.integers(0, 99, (steps(frames), *item)).astype(dtype))
    return path


def planned(shard: str) -> dict[str, int]:
    return {f"{shard}-{row}": frames for row, frames in enumerate(LENGTHS[shard])}


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An indexed collection of two shards."""
    folder = tmp_path_factory.mktemp("data") / "zoo"
    entries = []
    for shard in LENGTHS:
        clips = planned(shard)
        plan = pd.DataFrame({"clip_id": list(clips), "path": "x.mp4", "source_video": "v", "label": "", "split_1": ""})
        status = pd.DataFrame({"clip_id": list(clips), "status": "ok", "reason": ""})
        for kind, table in (("plan", plan), ("status/decode", status), ("status/flow", status)):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            table.to_csv(folder / kind / f"{shard}.csv", index=False)
        content = hashlib.sha256((folder / "plan" / f"{shard}.csv").read_bytes()).hexdigest()[:16]
        entries.append({"shard": shard, "clips": len(clips), "content": content})
        for modality in MODALITIES:
            write_shard(folder, modality, shard, clips)
    write_json(folder / "plan" / "shards.json", {"shards": entries})
    modalities = ["rgb", "flow", "grey", "audio"]
    build_index(folder, list(LENGTHS), modalities, folder / "index.json", folder / "clips.csv", 0.5)
    return folder


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "zoo"))


def told(folder: Path, processes: int = 2) -> dict[str, str]:
    return {str(problem.path.relative_to(folder)): problem.reason for problem in verify(folder, processes)}


def removed(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in repair(verify(folder, 2))[0])


def test_a_whole_collection_has_no_problem_and_is_left_as_it_is(folder):
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert told(folder, 1) == told(folder, 3) == {}
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def everything(path: Path) -> tuple[Any, ...]:
    reader = ShardReader(path)
    clips = [reader.read(row).tobytes() for row in range(len(reader.clip_ids))]
    reader.close()
    attributes = {name: str(value) for name, value in reader.attributes.items()}
    return attributes, reader.clip_ids, reader.lengths.tolist(), reader.moments.tolist(), reader.item_shape, clips


@pytest.mark.parametrize("modality", ["frames", "flow"])
def test_every_flipped_bit_that_a_reader_can_see_is_found(folder, tmp_path, monkeypatch, modality):
    """Whatever becomes of the file: an error of HDF5, another value, a crash or an endless loop in the library."""
    monkeypatch.setattr(examine, "STALL_S", 3.0)
    whole = folder / modality / "000000.h5"
    content, expected = whole.read_bytes(), everything(whole)
    recorded = expected[0]["content_hash"]
    random = np.random.default_rng(0)
    (tmp_path / "flipped").mkdir()
    paths = []
    filled = np.flatnonzero(np.frombuffer(content, np.uint8))  # Chunks are padded with zeros that nobody reads.
    for number in range(200):
        flipped = bytearray(content)
        place = int(random.choice(filled) if number % 2 else random.integers(min(len(content), 6000)))
        flipped[place] ^= 1 << int(random.integers(8))
        paths.append(tmp_path / "flipped" / f"{number}.h5")
        paths[-1].write_bytes(flipped)
    unseen = []
    for path, found in examine.examine_all(paths, 2):
        if not found.error and found.content_hash == found.recorded == recorded:
            unseen.append(path)
    assert len(unseen) < 120, "most flips should matter"
    for path in unseen:
        assert everything(path) == expected, path


@pytest.mark.parametrize("modality", MODALITIES)
def test_a_truncated_shard_is_named(folder, modality):
    path = folder / modality / "000001.h5"
    for size in (path.stat().st_size - 1, 3000, 100, 0):
        os.truncate(path, size)
        found = told(folder)
        assert list(found) == [f"{modality}/000001.h5"]
        assert found[f"{modality}/000001.h5"].startswith("cannot be read (")
    assert removed(folder) == sorted([*INDEX, f"{modality}/000001.h5"])


@pytest.mark.parametrize(("number", "error"), [(signal.SIGSEGV, "HDF5 crashes"), (signal.SIGSTOP, "HDF5 hangs")])
def test_a_file_that_crashes_or_hangs_hdf5_is_a_problem_like_others(folder, monkeypatch, number, error):
    monkeypatch.setattr(examine, "STALL_S", 5.0)
    begin = examine._Examiner.begin

    def struck(examiner: examine._Examiner, path: Path) -> None:
        if path.parent.name == "flow" and path.stem == "000000":
            os.kill(examiner.process.pid, number)
            time.sleep(0.2)
            examiner.path, examiner._heard = path, time.monotonic()
        else:
            begin(examiner, path)

    monkeypatch.setattr(examine._Examiner, "begin", struck)
    found = told(folder)
    assert list(found) == ["flow/000000.h5"]
    assert error in found["flow/000000.h5"]


@pytest.mark.parametrize("modality", MODALITIES)
def test_two_swapped_shards_are_both_named(folder, modality):
    first, second = (folder / modality / f"{shard}.h5" for shard in LENGTHS)
    first.rename(folder / "t")
    second.rename(first)
    (folder / "t").rename(second)
    found = told(folder)
    assert sorted(found) == [f"{modality}/{shard}.h5" for shard in LENGTHS]
    assert all("differ from the plan's 3, first in row 1" in reason for reason in found.values())


@pytest.mark.parametrize("modality", MODALITIES)
def test_a_missing_shard_and_a_missing_row_are_named(folder, modality):
    clips = planned("000001")
    clips.popitem()
    write_shard(folder, modality, "000001", clips)
    assert "its 2 clips differ from the plan's 3, first in row 3" in told(folder)[f"{modality}/000001.h5"]
    (folder / modality / "000001.h5").unlink()
    assert told(folder) == {f"{modality}/000001.h5": "missing"}


@pytest.mark.parametrize(("modality", "steps"), [("flow", 12), ("grey", 13)])
def test_lengths_that_do_not_fit_the_frames_are_named(folder, modality, steps):
    write_shard(folder, modality, "000001", {**planned("000001"), "000001-0": 13})
    reason = told(folder)[f"{modality}/000001.h5"]
    assert "not the shard that index.json describes" in reason
    assert f"000001-0 has {steps} steps - its 12 frames need {steps - 1}" in reason


def test_a_whole_shard_of_other_settings_is_named(folder):
    write_shard(folder, "flow", "000000", planned("000000"), scale=0.2)
    assert told(folder) == {"flow/000000.h5": "whole, but not the shard that index.json describes"}


def test_a_shard_of_another_modality_is_named(folder):
    shutil.copy(folder / "grey" / "000000.h5", folder / "flow" / "000000.h5")
    assert "holds grey" in told(folder)["flow/000000.h5"]


@pytest.mark.parametrize(
    "change",
    [
        lambda file: file.attrs.__setitem__("frame_rate", 9.0),
        lambda file: file["moments"].__setitem__((1, 0), 1.0),
        lambda file: file["clip_ids"].__setitem__(0, "another"),
        lambda file: file["offsets"].__setitem__(1, 4),
        lambda file: file.attrs.__setitem__("content_hash", "0" * 32),
        lambda file: file.attrs.__delitem__("modality"),
        lambda file: file.__delitem__("clip_ids"),
        lambda file: file.attrs.__setitem__("format_version", 1),
    ],
)
def test_changed_descriptions_are_named(folder, change: Callable[[h5py.File], object]):
    with h5py.File(folder / "frames" / "000000.h5", "r+") as file:
        change(file)
    found = told(folder)
    assert list(found) == ["frames/000000.h5"]
    assert "\n" not in found["frames/000000.h5"]


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("index.json", '"usable": 5', '"usable": 4'),
        ("index.json", '"mean": [\n    4', '"mean": [\n    5'),
        ("index.json", "{", "["),
        ("index.json", '"rgb"', '"rgbx"'),
        ("index.json", '"000001"', '"000002"'),
        ("index.json", '"shards"', '"shard"'),
        ("clips.csv", "000001-1", "000001-7"),
        ("clips.csv", "000001-1", ""),
    ],
)
def test_a_changed_index_is_named_and_remade_alone(folder, name, old, new):
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new, 1))
    assert list(told(folder)) == [name]
    assert removed(folder) == INDEX


@pytest.mark.parametrize(
    ("name", "also"),
    [
        ("status/decode/000001.csv", ["status/decode/000001.csv"]),
        ("status/flow/000001.csv", ["status/flow/000001.csv", "flow/000001.h5"]),
        ("plan/000001.csv", ["plan/settings.json", "plan/shards.json"]),
        ("plan/shards.json", ["plan/settings.json", "plan/shards.json"]),
    ],
)
def test_a_damaged_plan_or_status_is_named(folder, name, also):
    path = folder / name
    path.write_text(path.read_text()[:-60])
    assert list(told(folder)) == [name]
    assert removed(folder) == sorted([*INDEX, *also])
    path.unlink()
    assert list(told(folder)) == [name]


def test_a_clip_without_motion_vectors_needs_no_flow(folder):
    """And one that has flow though its row denies it is wrong."""
    clips = planned("000001")
    lost = next(name for name, frames in clips.items() if frames > 1)
    table = folder / "status/flow/000001.csv"
    table.write_text(table.read_text().replace(f"{lost},ok,", f"{lost},no_flow,none"))
    assert list(told(folder)) == ["flow/000001.h5"]
    write_shard(folder, "flow", "000001", {name: 0 if name == lost else frames for name, frames in clips.items()})
    build_index(
        folder, list(LENGTHS), ["rgb", "flow", "grey", "audio"], folder / "index.json", folder / "clips.csv", 0.1
    )
    assert told(folder) == {}


def test_nothing_that_is_no_collection_is_checked(tmp_path):
    with pytest.raises(UserError, match=r"zoo: no index\.json in it - allowed: a folder"):
        verify(tmp_path / "zoo", 1)


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-m", "pipeline_src.stages.verify_shards", *arguments]
    return subprocess.run(
        program, cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )


def test_the_program_names_the_shard_and_the_commands_that_repair_it(folder):
    done = command(folder.parent, "zoo", "--threads", "1")
    assert (done.returncode, done.stdout) == (0, "")
    assert "verify zoo" in done.stderr
    os.truncate(folder / "frames" / "000001.h5", 2000)
    done = command(folder.parent, str(folder))
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert re.match(r"zoo/frames/000001\.h5: cannot be read \(.*truncated", lines[0])
    assert lines[-2:] == [
        "  rm -f zoo/clips.csv zoo/frames/000001.h5 zoo/index.json",
        "  snakemake zoo/frames/000001.h5 zoo/index.json",
    ]


@pytest.mark.parametrize("arguments", [[], ["none"], ["zoo", "--threads", "0"], ["zoo", "--threads", "x"]])
def test_mistakes_of_the_user_are_told_with_exit_code_2(folder, arguments):
    done = command(folder.parent, *arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_the_index_names_the_same_hash(folder):
    index = json.loads((folder / "index.json").read_text())
    hashes = {path.parent.name: ShardReader(path).content_hash() for path in sorted(folder.glob("*/000000.h5"))}
    hashes.pop("sound")
    assert index["shards"][0]["content_hash"] == hashes


def test_shards_of_clips_that_were_tried_again_belong_to_the_collection(folder):
    """Else a collection with accepted retries would be called broken, and the repair would plan it anew."""
    shard, clips = "000000r01", {"000000-1": 4}
    table = pd.DataFrame({"clip_id": list(clips), "path": "x.mp4", "source_video": "v", "label": "", "split_1": ""})
    table.to_csv(folder / "plan" / f"{shard}.csv", index=False)
    status = pd.DataFrame({"clip_id": list(clips), "status": "ok", "reason": ""})
    for stage in ("decode", "flow"):
        status.to_csv(folder / "status" / stage / f"{shard}.csv", index=False)
    for modality in MODALITIES:
        write_shard(folder, modality, shard, clips)
    write_json(folder / "plan" / "retry_01.json", {"shards": [{"shard": shard, "clips": 1}]})
    modalities = ["rgb", "flow", "grey", "audio"]
    build_index(folder, [*LENGTHS, shard], modalities, folder / "index.json", folder / "clips.csv", 0.5)
    assert told(folder) == {}
    (folder / "flow" / f"{shard}.h5").write_bytes(b"damaged")
    assert removed(folder) == ["clips.csv", f"flow/{shard}.h5", "index.json"]
