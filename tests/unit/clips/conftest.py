"""Small videos made on the spot."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline_src.clips.ffmpeg import ffmpeg_path


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
