"""Frames by PyAV are those of the ffmpeg program: else exported encoders would see other pictures than they learned."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline_src.clips.decode import DecodeTask, decode_clip
from pipeline_src.clips.ffmpeg import ffmpeg_path
from pipeline_src.clips.frames import read_frames
from pipeline_src.clips.limits import Refusal, examine
from pipeline_src.settings.clips import DecodeSettings
from tests.tiny_run import ROOT

ODD = ROOT.parent / "shared" / "data" / "odd"
X264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-g", "12", "-bf", "2")
KINDS = {
    "plain.mp4": X264,
    "late.ts": (*X264, "-output_ts_offset", "2"),
    "wide.mkv": ("-c:v", "libx264", "-pix_fmt", "yuv444p", "-vf", "setsar=3/2"),
    "full.mp4": ("-c:v", "libx264", "-pix_fmt", "yuvj420p", "-colorspace", "bt709", "-color_range", "pc"),
    "old.avi": ("-c:v", "mpeg4", "-q:v", "4", "-bf", "2"),
    "old.mpg": ("-c:v", "mpeg2video", "-q:v", "4", "-r", "25"),
    "hdr.mkv": ("-c:v", "libx264", "-pix_fmt", "yuv420p10le", "-color_trc", "smpte2084"),
}


def both(path: Path, start: float, length: float, settings: DecodeSettings) -> tuple[np.ndarray, np.ndarray]:
    wanted = decode_clip(DecodeTask(str(path), start, length), settings, ffmpeg_path(), with_sound=False)
    found = examine(str(path), settings)
    assert not isinstance(found, Refusal), found.reason
    got = read_frames(str(path), start, length, found, settings, max_pixels=settings.max_pixels)
    return np.array(got).reshape(-1, *wanted.frames.shape[1:]), wanted.frames


@pytest.mark.parametrize("name", KINDS)
def test_frames_are_those_of_the_ffmpeg_program(tmp_path: Path, ffmpeg: Callable[..., None], name: str) -> None:
    path = tmp_path / name
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=90x66:r=25:d=3", *KINDS[name], path)
    for fit, rate in (("crop", 12.0), ("stretch", 29.97)):
        settings = DecodeSettings(frame_rate=rate, height=32, width=48, fit=fit)
        for start, length in ((0.0, 10.0), (1.01, 1.0)):
            got, wanted = both(path, start, length, settings)
            assert len(wanted) > 10
            np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("turned", [90, 180, 270])
def test_turned_videos_are_upright(tmp_path: Path, ffmpeg: Callable[..., None], turned: int) -> None:
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=90x66:r=25:d=1", *X264, tmp_path / "a.mp4")
    path = tmp_path / "turned.mp4"
    ffmpeg("-display_rotation", turned, "-i", tmp_path / "a.mp4", "-c", "copy", path)
    settings = DecodeSettings(height=32, width=32)
    got, wanted = both(path, 0.0, 1.0, settings)
    np.testing.assert_array_equal(got, wanted)
    straight, _ = both(tmp_path / "a.mp4", 0.0, 1.0, settings)
    assert np.abs(got.astype(int) - straight).mean() > 5


def test_a_clip_of_less_than_half_a_frame_period_gives_a_frame(tmp_path: Path, ffmpeg: Callable[..., None]) -> None:
    path = tmp_path / "short.mp4"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x64:r=50:d=0.02", *X264, path)
    got, wanted = both(path, 0.0, 1.0, DecodeSettings(frame_rate=2, height=32, width=32))
    assert len(wanted) == 1
    np.testing.assert_array_equal(got, wanted)


@pytest.mark.skipif(not ODD.is_dir(), reason="real videos are not part of the project")
@pytest.mark.parametrize(
    "name",
    [
        "8k24fps_300ms.mp4",
        "Test.ogv",
        "av1_video.mkv",
        "awesome'movie.mov",
        "bbb_176x144_128kbps_15fps_h263.3gp",
        "bbb_800x640_768kbps_30fps_avc_2b_firstpts_10_sec.mp4",
        "bear-vp9-odd-dimensions.webm",
        "corrupted.mp4",
        "fire2.mp4",
        "h265_10bits.mp4",
        "no_duration.webm",
        "sample_fragmented.mp4",
        "sideways movie.mov",
        "transparent.webm",
        "unordered.mov",
        "video_colr_nclx_rgb.mp4",
        "weird_aspect.small.mpg",
        "zero_empty_stsc.mp4",
    ],
)
def test_frames_of_odd_files_are_those_of_the_ffmpeg_program(name: str) -> None:
    got, wanted = both(ODD / name, 0.0, 3.0, DecodeSettings(height=48, width=48))
    np.testing.assert_array_equal(got, wanted)
