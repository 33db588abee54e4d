"""Fixtures that several levels of tests share."""

import os

# On a busy machine, threads of tiny networks wait for each other ten times as long as they work.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from pipeline_src.clips.ffmpeg import ffmpeg_path
from tests.tiny_run import Project, copy_project, render_videos


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what starts a cluster, unless it is asked for: -m slurm."""
    if "slurm" not in config.option.markexpr:
        left_out = [item for item in items if item.get_closest_marker("slurm")]
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Project:
    """A finished tiny run to read; `edited` is one to change. Of several processes one makes it for all.

    So it is with several calls of pytest that are told the same folder, FINISHED_RUN.
    """
    base = tmp_path_factory.getbasetemp()
    own = (base if worker_id == "master" else base.parent) / "finished"
    project = Project(Path(os.environ.get("FINISHED_RUN", own)))
    with FileLock(f"{project.folder}.lock"):
        if not (project.run / "report" / "index.html").exists():
            shutil.rmtree(project.folder, ignore_errors=True)
            copy_project(project.folder)
            render_videos(project.folder / "videos", 29)
            (project.folder / "videos" / "no video.mp4").write_text("this is text")
            project.snakemake()
    return project


@pytest.fixture
def edited(finished: Project, tmp_path: Path) -> Project:
    """A finished run of its own, whose code, configuration and results a test may change."""
    shutil.copytree(finished.folder, tmp_path / "project")
    return Project(tmp_path / "project")


@pytest.fixture(scope="session")
def ffmpeg() -> Callable[..., None]:
    """Run ffmpeg with arguments."""
    binary = ffmpeg_path()

    def call(*arguments: object) -> None:
        front = [binary, "-hide_banner", "-nostdin", "-v", "error", "-y"]
        subprocess.run(front + [str(argument) for argument in arguments], check=True)

    return call


@pytest.fixture(scope="session")
def small_video(tmp_path_factory: pytest.TempPathFactory, ffmpeg: Callable[..., None]) -> Path:
    """3 s of 64x48 pixels at 10 frames/s with a tone."""
    path = tmp_path_factory.mktemp("small") / "small.mp4"
    picture = ["-f", "lavfi", "-i", "testsrc2=s=64x48:r=10:d=3"]
    ffmpeg(*picture, "-f", "lavfi", "-i", "sine=d=3", "-pix_fmt", "yuv420p", "-c:a", "aac", path)
    return path


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
