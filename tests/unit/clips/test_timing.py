"""Which decoded frame shows a picture: as ffmpeg decides it, or motion would stand at the wrong time."""

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline_src.clips.decode import DecodeTask, decode_clip
from pipeline_src.clips.ffmpeg import ffmpeg_path
from pipeline_src.clips.probe import describe
from pipeline_src.clips.timing import FrameClock
from pipeline_src.settings.clips import DecodeSettings

PICTURES = 60
H264 = ("-c:v", "libx264", "-qp", "20", "-pix_fmt", "yuv420p", "-g", "8")
CONTAINERS = {
    "mkv": (*H264, "-bf", "2", "-b_strategy", "0"),
    "mp4": (*H264, "-bf", "2", "-b_strategy", "0"),
    "ts": (*H264, "-bf", "2", "-b_strategy", "0"),
    "avi": (*H264, "-bf", "2", "-b_strategy", "0"),
    "plain.avi": (*H264, "-bf", "0"),
    "mpeg4.avi": ("-c:v", "mpeg4", "-q:v", "3", "-g", "8", "-bf", "2"),
    "mpg": ("-c:v", "mpeg2video", "-q:v", "3", "-g", "8", "-bf", "2"),
    "flv": (*H264, "-bf", "2", "-b_strategy", "0", "-c:a", "aac"),
}
# AVI has no times, so its pictures cannot start late.
CASES = [(name, late) for name in CONTAINERS for late in (0.0, 0.7) if not (late and name.endswith("avi"))]
# Blocks, a digit of the picture's number in base 4 each: coding and scaling leave them legible.
LEVELS = (30, 90, 150, 210)


def picture(number: int) -> np.ndarray:
    digits = [LEVELS[number // 4**place % 4] for place in range(4)]
    blocks = np.array(digits, np.uint8).reshape(2, 2).repeat(24, axis=0).repeat(24, axis=1)
    return np.repeat(blocks[..., None], 3, axis=-1)


def number_of(shown: np.ndarray) -> int:
    grey = shown.reshape(2, 24, 2, 24, -1)[:, 6:-6, :, 6:-6].mean((1, 3, 4)).ravel()
    return sum(int(np.abs(np.array(LEVELS) - value).argmin()) * 4**place for place, value in enumerate(grey))


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    return np.stack([picture(number) for number in range(PICTURES)])


@pytest.mark.parametrize(("container", "late"), CASES)
@pytest.mark.parametrize("start", [0.0, 0.3, 1.01])
@pytest.mark.parametrize("rate", [8.0, 12.0, 10.0, 24.0, 29.97, 50.0])
def test_frames_show_the_pictures_that_the_clock_says(
    made: Callable[[str, float], Path], container: str, late: float, start: float, rate: float
) -> None:
    path = made(container, late)
    settings = DecodeSettings(frame_rate=rate, height=48, width=48)
    found = decode_clip(DecodeTask(str(path), start, 1.2), settings, ffmpeg_path())
    assert found.status == "ok", found.reason
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        clock = FrameClock(file, stream, start, describe(file, path.stat().st_size).delay_s, rate)
        clock.seek()
        first = {clock.frame_of(frame): number_of(frame.to_ndarray(format="rgb24")) for frame in file.decode(stream)}
    first = {frame: number for frame, number in first.items() if frame is not None and frame >= 0}
    expected = [max((n for n in first if n <= row), default=min(first)) for row in range(len(found.frames))]
    assert [number_of(frame) for frame in found.frames] == [first[n] for n in expected]


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory,
    pictures: np.ndarray,
    encode: Callable[..., Path],
    ffmpeg: Callable[..., None],
) -> Callable[[str, float], Path]:
    """Makes a file of a container, its pictures late by some seconds; each once."""
    folder = tmp_path_factory.mktemp("timing")

    def call(container: str, late: float) -> Path:
        path = folder / f"{late}.{container}"
        if not path.exists():
            plain = encode(folder / "plain.mkv", pictures, 24)
            # A sound track from the beginning on, so that the pictures start late and the file does not.
            sound = (
                "-f",
                "lavfi",
                "-t",
                "2",
                "-i",
                "sine=sample_rate=44100",
                "-map",
                "0:v",
                "-map",
                "1:a",
                "-c:a",
                "mp2",
            )
            ffmpeg("-itsoffset", late, "-i", plain, *sound, *CONTAINERS[container], "-fps_mode", "passthrough", path)
        return path

    return call
