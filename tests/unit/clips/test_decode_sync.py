"""Sound and picture share a clock, whatever the container: what audio-visual tasks learn from."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline_src.clips.decode import DecodeTask, decode_clip
from pipeline_src.clips.ffmpeg import ffmpeg_path
from pipeline_src.settings.clips import DecodeSettings

RATE, SOUND_RATE, EVENT_S = 25, 16_000, 1.2
X264 = ("-c:v", "libx264", "-g", "12", "-pix_fmt", "yuv420p")
CONTAINERS = {
    "mp4": (*X264, "-c:a", "aac"),
    "mov": (*X264, "-c:a", "pcm_s16le"),
    "fragmented.mp4": (*X264, "-c:a", "aac", "-movflags", "frag_keyframe+empty_moov"),
    "mkv": (*X264, "-c:a", "libmp3lame"),
    "webm": ("-c:v", "libvpx", "-g", "12", "-c:a", "libopus"),
    "avi": ("-c:v", "mpeg4", "-q:v", "2", "-c:a", "libmp3lame"),
    "flv": (*X264, "-c:a", "aac"),
    "ts": (*X264, "-c:a", "aac"),
    "mpg": ("-c:v", "mpeg2video", "-q:v", "2", "-c:a", "mp2"),
    "ogv": ("-c:v", "libtheora", "-q:v", "8", "-c:a", "libvorbis"),
}
OFFSETS = {"both from 0": (0.0, 0.0), "picture late": (0.4, 0.0), "sound late": (0.0, 0.6), "both late": (5.0, 5.2)}


def encoder_missing(options: tuple[str, ...]) -> bool:
    known = subprocess.run([ffmpeg_path(), "-hide_banner", "-encoders"], capture_output=True, text=True).stdout
    return any(name.startswith("lib") and f" {name} " not in known for name in options)


@pytest.fixture(scope="module")
def event(tmp_path_factory: pytest.TempPathFactory, ffmpeg: Callable[..., None]) -> tuple[Path, Path]:
    """A white frame and a click, both EVENT_S after their stream's start."""
    folder = tmp_path_factory.mktemp("event")
    flash = (
        f"color=black:s=64x64:r={RATE}:d=3,geq=lum='if(between(T,{EVENT_S}-0.01,{EVENT_S}+0.03),235,16)':cb=128:cr=128"
    )
    click = f"aevalsrc='if(between(t,{EVENT_S},{EVENT_S}+0.02),0.9*sin(12566*t),0)':d=3:s=48000"
    ffmpeg("-f", "lavfi", "-i", flash, "-c:v", "ffv1", folder / "flash.mkv")
    ffmpeg("-f", "lavfi", "-i", click, folder / "click.wav")
    return folder / "flash.mkv", folder / "click.wav"


@pytest.mark.parametrize("offset", OFFSETS)
@pytest.mark.parametrize("container", CONTAINERS)
def test_a_flash_and_its_click_stay_together(
    event: tuple[Path, Path], ffmpeg: Callable[..., None], tmp_path: Path, container: str, offset: str
) -> None:
    if container == "avi" and offset != "both from 0":
        pytest.skip("AVI has no times, so streams cannot start late")
    if (container, offset) == ("fragmented.mp4", "picture late"):
        pytest.skip("ffmpeg's muxer writes a longer first frame instead of a late start")
    codecs = CONTAINERS[container]
    if encoder_missing(codecs):
        pytest.skip(f"this ffmpeg has no encoder for .{container}")
    picture_at, sound_at = OFFSETS[offset]
    inputs = ("-itsoffset", picture_at, "-i", event[0], "-itsoffset", sound_at, "-i", event[1])
    path = tmp_path / f"v.{container}"
    ffmpeg(*inputs, "-map", "0:v", "-map", "1:a", *codecs, "-fps_mode", "passthrough", path)
    settings = DecodeSettings(frame_rate=RATE, height=32, width=32, sound_rate=SOUND_RATE)
    for start in (0.0, 0.48):
        found = decode_clip(DecodeTask(str(path), start, 2.4), settings, ffmpeg_path())
        assert found.status == "ok", found.reason
        brightness = found.frames.mean((1, 2, 3))
        assert brightness.max() > 100
        flash = float(np.argmax(brightness)) / RATE
        loudness = np.abs(found.sound.astype(int))
        click = float(np.argmax(loudness > loudness.max() / 3)) / SOUND_RATE
        assert flash == pytest.approx(EVENT_S - start, abs=1.01 / RATE)
        assert click - flash == pytest.approx(sound_at - picture_at, abs=1 / RATE)
        assert len(found.sound) == len(found.frames) * SOUND_RATE // RATE
