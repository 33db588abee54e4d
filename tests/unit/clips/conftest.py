"""Small videos made on the spot."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline_src.clips.ffmpeg import ffmpeg_path


@pytest.fixture(scope="session")
def ffmpeg() -> Callable[..., None]:
    """Run ffmpeg with arguments."""
    binary = ffmpeg_path()

    def call(*arguments: object) -> None:
        front = [binary, "-hide_banner", "-nostdin", "-v", "error", "-y"]
        subprocess.run(front + [str(argument) for argument in arguments], check=True)

    return call


@pytest.fixture(scope="session")
def encode() -> Callable[..., Path]:
    """Encode frames (T, H, W, 3) losslessly; further arguments stand before the output file."""
    binary = ffmpeg_path()

    def call(path: Path, frames: np.ndarray, rate: float, *arguments: object) -> Path:
        height, width = frames.shape[1:3]
        raw = [
            "-f",
            "rawvideo",
            "-pix_fmt",
            "rgb24",
            "-s",
            f"{width}x{height}",
            "-r",
            str(rate),
            "-i",
            "pipe:0",
        ]
        codec = ["-c:v", "libx264rgb", "-qp", "0"]
        command = [binary, "-v", "error", "-y", *raw, *codec, *map(str, arguments), f"file:{path}"]
        subprocess.run(command, input=frames.tobytes(), check=True)
        return path

    return call


@pytest.fixture(scope="session")
def small_video(tmp_path_factory: pytest.TempPathFactory, ffmpeg: Callable[..., None]) -> Path:
    """3 s of 64x48 pixels at 10 frames/s with a tone."""
    path = tmp_path_factory.mktemp("small") / "small.mp4"
    picture = ["-f", "lavfi", "-i", "testsrc2=s=64x48:r=10:d=3"]
    ffmpeg(*picture, "-f", "lavfi", "-i", "sine=d=3", "-pix_fmt", "yuv420p", "-c:a", "aac", path)
    return path
