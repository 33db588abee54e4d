"""Videos to vectors with an exported encoder: the pipeline's own vectors, and no file that stops the others."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline_src.clips.decode import DecodeTask, decode_clip
from pipeline_src.clips.ffmpeg import ffmpeg_path
from pipeline_src.clips.isolated import IsolatedError, TimedOutError
from pipeline_src.clips.rows import ClipRow, StatusRow, plan_text, write_status
from pipeline_src.embedding import videos
from pipeline_src.embedding.embed import embed_clips
from pipeline_src.embedding.exported import load_exported
from pipeline_src.embedding.table import read_table, write_table
from pipeline_src.embedding.videos import embed_videos, find_videos
from pipeline_src.embedding.windows import Clip, cut, failed, read_windows
from pipeline_src.errors import UserError
from pipeline_src.settings.clips import DecodeSettings
from pipeline_src.settings.embedding import EmbedSettings
from pipeline_src.shards.index import Collection, build_index
from pipeline_src.shards.writer import ShardWriter
from tests.exported import WINDOWS, make_config, make_encoder, make_export


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, ffmpeg: Callable[..., None]) -> Path:
    """Four videos: 2.6 s, 1.1 s, a third of a second (less than a window), and a text."""
    found = tmp_path_factory.mktemp("videos")
    for name, seconds, start in (("a.mp4", 2.6, 0), ("b.mkv", 1.1, 7), ("c.mp4", 0.33, 20)):
        source = ["-f", "lavfi", "-i", f"testsrc2=s=80x60:r=25:d={start + seconds}"]
        ffmpeg(*source, "-ss", start, "-c:v", "libx264", "-pix_fmt", "yuv420p", found / name)
    (found / "d.mp4").write_text("this is text")
    return found


def through_the_pipeline(tmp_path: Path, tasks: list[DecodeTask], settings: DecodeSettings) -> np.ndarray:
    """Decoded by the ffmpeg program, stored in a shard, read and embedded."""
    data = tmp_path / "data" / "set"
    shape = (settings.height, settings.width, 3)
    ids = [f"clip-{number}" for number in range(len(tasks))]
    with ShardWriter(
        data / "frames/000000.h5",
        modality="frames",
        item_shape=shape,
        dtype="uint8",
        codec=settings.codec,
        attributes={"frame_rate": settings.frame_rate},
    ) as shard:
        for name, task in zip(ids, tasks, strict=True):
            shard.add(name, decode_clip(task, settings, ffmpeg_path(), with_sound=False).frames)
    (data / "plan").mkdir()
    rows = [ClipRow(name, f"{name}.mp4", 0.0, None, name, "", "", ()) for name in ids]
    (data / "plan/000000.csv").write_text(plan_text(rows, 0))
    write_status(data / "status/decode/000000.csv", [StatusRow(name, "ok") for name in ids], fetched=False)
    build_index(data, ["000000"], ["rgb"], data / "index.json", data / "clips.csv", 0.5)
    collection = Collection.open(data / "index.json")
    cpu = torch.device("cpu")
    return embed_clips(
        make_encoder(), make_config(), collection, np.arange(len(ids)), EmbedSettings(windows=WINDOWS), cpu
    )


@pytest.mark.parametrize("codec", ["jpeg", "raw"])
@pytest.mark.parametrize("fit", ["crop", "stretch"])
def test_vectors_are_those_that_the_pipeline_makes_of_the_same_videos(
    tmp_path: Path, folder: Path, codec: str, fit: str
) -> None:
    settings = DecodeSettings.model_validate({"frame_rate": 8, "height": 32, "width": 32, "codec": codec, "fit": fit})
    wanted = through_the_pipeline(
        tmp_path, [DecodeTask(str(folder / name), 0.0, None) for name in ("a.mp4", "b.mkv", "c.mp4")], settings
    )
    encoder = load_exported(make_export(tmp_path / "export", decode=settings))
    rows = list(embed_videos(find_videos([folder]), encoder, workers=2))
    assert [row.status for row in rows] == ["ok", "ok", "ok", "undecodable"]
    assert [row.duration_s for row in rows[:3]] == [2.625, 1.125, 0.375]
    np.testing.assert_allclose([row.embedding for row in rows[:3]], wanted, rtol=0, atol=1e-5)
    assert np.abs(wanted[0] - wanted[1]).max() > 1e-2
    assert "cannot be opened" in rows[3].reason
    assert rows[3].embedding.shape == (0,)


def test_without_the_codec_vectors_would_differ(tmp_path: Path, folder: Path) -> None:
    """So the test above would fail if frames were not stored as the pipeline stores them."""
    found = []
    for codec in ("jpeg", "raw"):
        decode = DecodeSettings.model_validate({"frame_rate": 8, "height": 32, "width": 32, "codec": codec})
        encoder = load_exported(make_export(tmp_path / codec, decode=decode))
        found += [row.embedding for row in embed_videos([folder / "a.mp4"], encoder, workers=1)]
    assert np.abs(found[0] - found[1]).max() > 1e-3


def test_pieces_of_a_video_are_those_that_the_pipeline_cuts(tmp_path: Path, folder: Path) -> None:
    settings = DecodeSettings(frame_rate=8, height=32, width=32)
    tasks = [DecodeTask(str(folder / "a.mp4"), start, 1.0) for start in (0.0, 1.0, 2.0)]
    wanted = through_the_pipeline(tmp_path, tasks, settings)
    encoder = load_exported(make_export(tmp_path / "export"))
    rows = list(embed_videos(find_videos([folder / "a.mp4"]), encoder, clip_duration_s=1.0, workers=1))
    assert [(row.start_s, row.duration_s) for row in rows] == [(0.0, 1.0), (1.0, 1.0), (2.0, 0.625)]
    np.testing.assert_allclose([row.embedding for row in rows], wanted, rtol=0, atol=1e-5)


def test_batches_do_not_change_vectors(tmp_path: Path, folder: Path) -> None:
    encoder = load_exported(make_export(tmp_path))
    one, many = (
        [row.embedding for row in embed_videos(find_videos([folder]), encoder, batch_size=size, workers=1)][:3]
        for size in (1, 64)
    )
    np.testing.assert_allclose(one, many, rtol=0, atol=1e-5)


def test_a_crash_or_a_hang_costs_one_video(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    @contextmanager
    def crashing(work: Callable, processes: int, **limits: object) -> Iterator[Callable]:
        def call(what: Clip | str) -> object:
            if isinstance(what, Clip):
                calls.append(what.path)
                if what.path.endswith("a.mp4"):
                    raise IsolatedError("its process crashed")
                if what.path.endswith("b.mkv"):
                    raise TimedOutError("longer than 3 s")
            return work(what)

        yield call

    monkeypatch.setattr(videos, "isolated", crashing)
    encoder = load_exported(make_export(tmp_path))
    rows = list(embed_videos(find_videos([folder]), encoder, clip_duration_s=1.0, workers=1))
    assert [row.status for row in rows] == ["undecodable"] * 3 + ["timed_out", "ok", "undecodable"]
    assert "crashed" in rows[2].reason
    # What has brought a process down is not tried again.
    assert [Path(path).name for path in calls] == ["a.mp4", "b.mkv", "c.mp4", "d.mp4"]


@pytest.mark.parametrize("duration", [None, 1.0])
def test_a_name_that_is_no_text_costs_one_video(tmp_path: Path, folder: Path, duration: float | None) -> None:
    (tmp_path / "videos").mkdir()
    shutil.copy(folder / "b.mkv", tmp_path / "videos" / "b.mkv")
    shutil.copy(folder / "b.mkv", os.fsencode(tmp_path / "videos") + b"/caf\xe9.mkv")
    encoder = load_exported(make_export(tmp_path))
    rows = list(embed_videos(find_videos([tmp_path / "videos"]), encoder, clip_duration_s=duration, workers=1))
    for suffix in (".csv", ".npz", ".parquet"):
        write_table(tmp_path / f"t{suffix}", rows, encoder.name, 32)
        found = read_table(tmp_path / f"t{suffix}").rows
        assert [(Path(row.path).name, row.status) for row in found][-1] == ("caf\\udce9.mkv", "refused")
        assert [row.status for row in found[:-1]] == ["ok"] * len(rows[:-1])
    assert rows[-1].reason == "its path is not UTF-8 - rename it"


def test_an_embedding_that_is_not_finite_is_a_failed_row(tmp_path: Path, folder: Path) -> None:
    encoder = load_exported(make_export(tmp_path))
    # As of overflowing weights: one window of the first clip.
    encoder.register_forward_hook(lambda *call: call[-1].index_fill(0, torch.tensor([1]), float("inf")))
    rows = list(embed_videos([folder / "a.mp4", folder / "b.mkv"], encoder, workers=1))
    assert [(row.status, row.duration_s > 0, len(row.embedding)) for row in rows] == [
        ("other", False, 0),
        ("ok", True, 32),
    ]
    assert rows[0].reason == "its embedding is not finite"


def test_a_decoder_that_hangs_is_stopped(tmp_path: Path, folder: Path) -> None:
    decode = DecodeSettings(frame_rate=8, height=32, width=32, timeout_s=0.002)
    encoder = load_exported(make_export(tmp_path, decode=decode))
    (row,) = embed_videos([folder / "a.mp4"], encoder, workers=1)
    assert (row.status, row.embedding.shape) == ("timed_out", (0,))


def test_limits_are_checked_before_work(tmp_path: Path, folder: Path) -> None:
    path = str(folder / "a.mp4")
    for limits, reason in (({"max_pixels": 100}, "max_pixels 100"), ({"max_bytes": 1000}, "max_bytes 1000")):
        decode = DecodeSettings.model_validate({"frame_rate": 8, "height": 32, "width": 32, **limits})
        found = read_windows(Clip(path), load_exported(make_export(tmp_path, decode=decode)).format)
        assert found.status == "over_limits"
        assert reason in found.reason
    decode = DecodeSettings(frame_rate=8, height=32, width=32, max_duration_s=1.0)
    found = read_windows(Clip(path), load_exported(make_export(tmp_path, decode=decode)).format)
    assert (found.status, found.duration_s) == ("ok", 1.0)
    assert "only its first 1 s" in found.reason


def test_a_file_that_cannot_be_cut_is_one_row(tmp_path: Path, folder: Path) -> None:
    format = load_exported(make_export(tmp_path)).format
    assert cut(str(folder / "d.mp4"), format, 2.0) == [Clip(str(folder / "d.mp4"), 0.0, 2.0)]
    assert read_windows(Clip(str(folder / "no.mp4")), format).status == "missing"
    assert failed("other", "x").windows.size == 0


def test_places_without_videos_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file or folder"):
        find_videos([tmp_path / "none"])
    with pytest.raises(UserError, match="no video file in it"):
        find_videos([tmp_path])
