"""The programs that a rule calls: shards in, shards out, errors in one line."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline_src.clips.rows import read_status
from pipeline_src.errors import UserError
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


def test_the_round_trip_error_and_the_bound_are_recorded(monkeypatch, folder):
    extract_all(monkeypatch, folder)
    shard = ShardReader(folder / "flow/000000.h5")
    # Rounding to steps of `scale` alone: a uniform error has a root mean square of scale / sqrt(12).
    assert shard.attributes["bound"] == 20.0
    assert 0 < shard.attributes["roundtrip_error"] < 1.1 * shard.attributes["scale"] / np.sqrt(12)
    extract_all(monkeypatch, folder, bound=1.0)
    assert ShardReader(folder / "flow/000000.h5").attributes["roundtrip_error"] > 0.5


@pytest.fixture
def coded(folder: Path, encode) -> Path:
    """The collection's frames as videos of several codecs, with a plan and a status of fetching."""
    frames = ShardReader(folder / "frames/000000.h5")
    options = [("-c:v", "libx264", "-bf", "0"), (), ("-c:v", "libx264"), ("-c:v", "ffv1")]
    rows = [
        ["clip_id", "path", "start_s", "duration_s", "source_video", "content", "label"],
        *([name, f"{name}.mkv", "0", "", name, "", ""] for name in IDS),
    ]
    status = [["clip_id", "status", "reason", "file", "start_s", "video_start_s"]]
    for row, name in enumerate(IDS):
        clip = frames.read(row)
        file = folder / f"{name}.mkv"
        if len(clip):
            encode(file, clip, 12, *options[row])
        status.append([name, "ok" if len(clip) else "missing", "", str(file), "0", "0"])
    for path, table in (("plan/000000.csv", rows), ("status/fetch/000000.csv", status)):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text("".join(",".join(line) + "\n" for line in table))
    return folder


def extract_vectors(monkeypatch, folder: Path, threads: int = 2) -> None:
    decode = {"frame_rate": 12.0, "height": 48, "width": 64}
    settings = json.dumps({"flow": {"method": "motion_vectors"}, "decode": decode})
    media = ("--plan", folder / "plan/000000.csv", "--fetched", folder / "status/fetch/000000.csv")
    out = ("--out", folder / "flow/000000.h5", "--status", folder / "status/flow/000000.csv")
    frames = ("--frames", folder / "frames/000000.h5", "--threads", threads)
    call(monkeypatch, extract_flow, "--settings", settings, *frames, *media, *out)


def test_a_clip_without_motion_vectors_is_a_row_and_leaves_the_index(monkeypatch, coded):
    extract_all(monkeypatch, coded)
    extract_vectors(monkeypatch, coded)
    shard = ShardReader(coded / "flow/000000.h5")
    assert shard.lengths.tolist() == [5, 0, 0, 0]
    motion = (shard.read(0).astype(float) - 128) * shard.attributes["scale"]
    np.testing.assert_allclose(np.median(motion[:, 12:-12, 12:-12], axis=(0, 1, 2)), [3, -2], atol=0.5)
    rows = [(row.clip_id, row.status) for row in read_status(coded / "status/flow/000000.csv")]
    assert rows == list(zip(IDS, ["ok", "no_flow", "ok", "no_flow"], strict=True))
    assert "(codec ffv1)" in (coded / "status/flow/000000.csv").read_text()
    settings = json.dumps({"modalities": ["rgb", "flow"], "min_success": 0.5})
    outputs = ("--out", coded / "index.json", "--clips", coded / "clips.csv")
    call(monkeypatch, index_collection, "--settings", settings, "--folder", coded, *outputs)
    made = Collection.open(coded / "index.json")
    assert made.clips["clip_id"].tolist() == ["moves", "one-frame"]
    assert made.index["failed"] == {"broken": 1, "no_flow": 1}
    # Whoever does not use flow keeps the clip.
    settings = json.dumps({"modalities": ["rgb"], "min_success": 0.5})
    call(monkeypatch, index_collection, "--settings", settings, "--folder", coded, *outputs)
    assert Collection.open(coded / "index.json").clips["clip_id"].tolist() == ["moves", "one-frame", "still"]


def test_motion_vectors_do_not_depend_on_the_number_of_threads(monkeypatch, coded):
    extract_vectors(monkeypatch, coded, threads=1)
    before = (coded / "flow/000000.h5").read_bytes()
    extract_vectors(monkeypatch, coded, threads=3)
    assert (coded / "flow/000000.h5").read_bytes() == before


def test_a_plan_of_other_clips_is_refused(monkeypatch, coded):
    plan = coded / "plan/000000.csv"
    plan.write_text(plan.read_text().replace("moves", "other"))
    with pytest.raises(UserError, match=r"its clips differ from .*plan/000000\.csv"):
        extract_vectors(monkeypatch, coded)


@pytest.mark.parametrize("threads", [1, 2])
def test_torch_in_processes_gives_the_same_flow(monkeypatch, folder, threads):
    from pipeline_src.features.flow import tvl1_torch
    from pipeline_src.features.optical_flow import quantise
    from pipeline_src.settings import catalogue

    settings = {"scales": 2, "warps": 2, "outer_iterations": 2}
    call(
        monkeypatch,
        extract_flow,
        *("--settings", json.dumps({"flow": {"method": "tvl1_torch", "settings": settings}})),
        *("--frames", folder / "frames/000000.h5", "--out", folder / "flow/000000.h5"),
        *("--status", folder / "status/flow/000000.csv", "--threads", threads),
    )
    shard = ShardReader(folder / "flow/000000.h5")
    grey = luma(ShardReader(folder / "frames/000000.h5").read(0))
    alone = tvl1_torch.pairs(grey[:-1], grey[1:], catalogue.complete("flow", "tvl1_torch", settings))
    np.testing.assert_array_equal(shard.read(0), quantise(alone, 20.0).flow)
    assert shard.lengths.tolist() == [5, 0, 0, 2]
