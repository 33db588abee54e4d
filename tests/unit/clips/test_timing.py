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


@pytest.fixture(scope="module")
def numbered(tmp_path_factory: pytest.TempPathFactory, encode: Callable[..., Path]) -> Path:
    """A video each picture of which tells its number by its brightness."""
    levels = (np.arange(PICTURES) * 4 + 8).astype(np.uint8)
    frames = np.broadcast_to(levels[:, None, None, None], (PICTURES, 32, 32, 3))
    return encode(tmp_path_factory.mktemp("numbered") / "v.mkv", np.ascontiguousarray(frames), 24, "-g", "8")


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "ts", "avi"])
@pytest.mark.parametrize("late", [0.0, 0.7])
@pytest.mark.parametrize("start", [0.0, 0.3, 1.01])
@pytest.mark.parametrize("rate", [8.0, 12.0, 10.0, 24.0, 29.97, 50.0])
def test_frames_show_the_pictures_that_the_clock_says(
    numbered: Path, ffmpeg: Callable[..., None], tmp_path: Path, suffix: str, late: float, start: float, rate: float
) -> None:
    if suffix == "avi" and late:
        pytest.skip("AVI has no times, so streams cannot start late")
    path = tmp_path / f"v.{suffix}"
    # A sound track from the beginning on, so that the pictures start late and the file does not.
    sound = ("-f", "lavfi", "-t", "2", "-i", "sine", "-map", "0:v", "-map", "1:a", "-c:a", "mp2")
    ffmpeg("-itsoffset", late, "-i", numbered, *sound, "-c:v", "copy", "-fps_mode", "passthrough", path)
    settings = DecodeSettings(frame_rate=rate, height=32, width=32)
    found = decode_clip(DecodeTask(str(path), start, 1.2), settings, ffmpeg_path())
    assert found.status == "ok", found.reason
    shown = ((found.frames.mean((1, 2, 3)) - 8) / 4).round().astype(int)
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        clock = FrameClock(file, stream, start, describe(file, path.stat().st_size).delay_s, rate)
        clock.seek()
        first = {}
        for frame in file.decode(stream):
            number = round((float(frame.to_ndarray(format="rgb24").mean()) - 8) / 4)
            first[clock.frame_of(frame)] = number
    first = {frame: number for frame, number in first.items() if frame >= 0}
    expected = [max((n for n in first if n <= row), default=min(first)) for row in range(len(shown))]
    assert shown.tolist() == [first[n] for n in expected]
