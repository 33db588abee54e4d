"""The programs that a rule calls: shards in, shards out, errors in one line."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline_src.features.grey import luma
from pipeline_src.shards.index import Collection
from pipeline_src.shards.reader import ShardReader
from pipeline_src.shards.writer import ShardWriter
from pipeline_src.stages import extract_audio, extract_flow, extract_grey, index_collection
from pipeline_src.stages.command import run

IDS = ["moves", "failed", "one-frame", "still"]


def call(monkeypatch, stage, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", [stage.__name__, *map(str, arguments)])
    stage.main()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A collection as decoding leaves it."""
    made = tmp_path / "zoo"
    texture = np.random.default_rng(0).integers(0, 256, (10, 14, 3)).astype(np.uint8)
    texture = texture.repeat(8, axis=0).repeat(8, axis=1)
    moves = np.stack([texture[8 + 2 * t :][:48, 40 - 3 * t :][:, :64] for t in range(6)])
    frames = [moves, moves[:0], moves[:1], np.full((3, 48, 64, 3), 90, np.uint8)]
    sounds = [np.full(4000, 0, np.int16), np.zeros(0, np.int16), np.zeros(0, np.int16), np.ones(7, np.int16)]
    attributes = {"frame_rate": 12.0}
    with ShardWriter(
        made / "frames/000000.h5",
        modality="frames",
        item_shape=(48, 64, 3),
        dtype="uint8",
        attributes=attributes,
    ) as shard:
        for clip_id, array in zip(IDS, frames, strict=True):
            shard.add(clip_id, array)
    attributes = {"sample_rate": 16_000}
    with ShardWriter(
        made / "sound/000000.h5", modality="sound", item_shape=(), dtype="int16", attributes=attributes
    ) as shard:
        for clip_id, sound in zip(IDS, sounds, strict=True):
            shard.add(clip_id, sound)
    rows = {"plan": "path,source_video,label\n", "status/decode": "status,reason\n"}
    values = {"plan": ["a.mp4,a,"] * 4, "status/decode": ["ok,", "broken,bad file", "ok,", "ok,"]}
    for kind, header in rows.items():
        (made / kind).mkdir(parents=True)
        lines = "".join(f"{clip_id},{value}\n" for clip_id, value in zip(IDS, values[kind], strict=True))
        (made / kind / "000000.csv").write_text(f"clip_id,{header}{lines}")
    (made / "plan/shards.json").write_text(json.dumps({"shards": [{"shard": "000000", "clips": 4}]}))
    return made


def extract_all(monkeypatch, folder: Path, bound: float = 20.0, threads: int = 2) -> None:
    frames, sound = folder / "frames/000000.h5", folder / "sound/000000.h5"
    flow = json.dumps({"flow": {"bound": bound}})
    out = folder / "flow/000000.h5"
    status = folder / "status/flow/000000.csv"
    arguments = ("--settings", flow, "--frames", frames, "--out", out, "--status", status, "--threads", threads)
    call(monkeypatch, extract_flow, *arguments)
    out = folder / "grey/000000.h5"
    call(monkeypatch, extract_grey, "--settings", "{}", "--frames", frames, "--out", out)
    out = folder / "audio/000000.h5"
    call(monkeypatch, extract_audio, "--settings", '{"audio": {}}', "--sound", sound, "--out", out)


def test_flow_shard_holds_motion_in_its_declared_units(monkeypatch, folder):
    extract_all(monkeypatch, folder)
    shard = ShardReader(folder / "flow/000000.h5")
    assert shard.clip_ids == IDS
    assert shard.lengths.tolist() == [5, 0, 0, 2]
    assert shard.item_shape == (48, 64, 2)
    found = shard.attributes
    assert (found["zero"], found["method"], found["units"]) == (128, "dis", "pixel/frame")
    assert (found["frame_rate"], found["scale"], found["clipped_fraction"]) == (12.0, 20 / 127, 0.0)
    motion = (shard.read(0).astype(float) - found["zero"]) * found["scale"]
    np.testing.assert_allclose(np.median(motion, axis=(0, 1, 2)), [3, -2], atol=found["scale"])
    assert (shard.read(3) == 128).all()


def test_clipped_flow_is_counted_over_the_shard(monkeypatch, folder):
    extract_all(monkeypatch, folder, bound=1.0)
    shard = ShardReader(folder / "flow/000000.h5")
    clipped = np.isin(shard.read(0), [1, 255]).sum()
    # 7 rows in all; a value at 1 or 255 may also lie just inside the bound.
    assert 0.6 * clipped < shard.attributes["clipped_fraction"] * 7 * 48 * 64 * 2 <= clipped


def test_grey_and_audio_shards_follow_the_plan(monkeypatch, folder):
    extract_all(monkeypatch, folder)
    grey, frames = ShardReader(folder / "grey/000000.h5"), ShardReader(folder / "frames/000000.h5")
    assert (grey.clip_ids, grey.lengths.tolist()) == (IDS, [6, 0, 1, 3])
    np.testing.assert_array_equal(grey.read(0)[..., 0], luma(frames.read(0)))
    audio = ShardReader(folder / "audio/000000.h5")
    assert (audio.clip_ids, audio.lengths.tolist()) == (IDS, [1 + 4000 // 256, 0, 0, 1])
    assert np.isfinite(audio.read(0)).all()
    assert audio.attributes["hop_s"] == 0.016


def test_the_same_shard_gives_the_same_bytes_with_other_threads(monkeypatch, folder):
    names = ("flow", "grey", "audio")
    extract_all(monkeypatch, folder, threads=1)
    before = [(folder / name / "000000.h5").read_bytes() for name in names]
    extract_all(monkeypatch, folder, threads=3)
    assert [(folder / name / "000000.h5").read_bytes() for name in names] == before


def test_the_index_of_these_shards_opens(monkeypatch, folder):
    extract_all(monkeypatch, folder)
    settings = json.dumps({"modalities": ["rgb", "flow", "grey", "audio"], "min_success": 0.5})
    call(
        monkeypatch,
        index_collection,
        *("--settings", settings, "--folder", folder),
        *("--out", folder / "index.json", "--clips", folder / "clips.csv"),
    )
    made = Collection.open(folder / "index.json")
    assert made.clips["clip_id"].tolist() == ["moves", "one-frame", "still"]
    assert made.clips["has_sound"].tolist() == [1, 0, 1]
    assert made.clips["label"].tolist() == ["", "", ""]
    assert made.index["failed"] == {"broken": 1}


@pytest.mark.parametrize(
    ("flow", "message"),
    [
        ({"method": "dsi"}, "did you mean 'dis'?"),
        ({"settings": {"preset": "slow"}}, "dis.preset: 'slow' - allowed: ultrafast, fast, medium"),
        ({"bound": 0}, "flow.bound"),
    ],
)
def test_a_wrong_flow_setting_is_one_line_and_exit_code_2(monkeypatch, folder, capsys, flow, message):
    out = folder / "flow/000000.h5"
    arguments = [
        "--settings",
        json.dumps({"flow": flow}),
        "--frames",
        folder / "frames/000000.h5",
        "--out",
        out,
        "--status",
        folder / "status.csv",
    ]
    with pytest.raises(SystemExit) as caught:
        run(lambda: call(monkeypatch, extract_flow, *arguments))
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not out.exists()


def test_threads_below_one_are_refused(monkeypatch, folder, capsys):
    arguments = ["--settings", '{"flow": {}}', "--frames", folder / "frames/000000.h5", "--threads", 0]
    arguments += ["--status", folder / "status.csv"]
    with pytest.raises(SystemExit) as caught:
        call(monkeypatch, extract_flow, *arguments, "--out", folder / "flow/000000.h5")
    assert caught.value.code == 2
    assert "--threads" in capsys.readouterr().err
