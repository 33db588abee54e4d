"""A run that is killed again and again, and started anew each time, ends with the same bytes as one left in peace."""

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.tiny_run import Project, copy_project
from tests.video_server import VideoServer

pytestmark = pytest.mark.slow

KILLS = 20
MADE = ("frames/*.h5", "sound/*.h5", "status/*/*.csv", "plan/*.csv", "index.json", "clips.csv")
INDEX = "data/pool/index.json"


def made(project: Project) -> dict[str, str]:
    """Hashes of what stands where results belong."""
    pool = project.folder / "data/pool"
    files = [path for pattern in MADE for path in pool.glob(pattern) if not path.name.startswith(".")]
    return {str(path.relative_to(pool)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def start(project: Project) -> "subprocess.Popen[bytes]":
    # A killed Snakemake leaves its lock; people remove it with --unlock.
    command = [sys.executable, "-m", "snakemake", INDEX, "--configfile", "tiny.yaml", "--cores", "2", "--nolock"]
    silent = subprocess.DEVNULL
    return subprocess.Popen(command, cwd=project.folder, stdout=silent, stderr=silent, start_new_session=True)


def at_work(project: Project) -> bool:
    """Whether a fetch or decode job is running: Snakemake marks what is incomplete."""
    pool = project.folder / "data/pool"
    done = len(list(pool.glob("status/decode/*.csv")))
    return (pool / "plan/shards.json").exists() and done < len(list(pool.glob("plan/0*.csv")))


def test_kills_at_random_moments_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_video: Path
) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "*")
    project = copy_project(tmp_path / "project")
    drawn = random.Random(0)
    with VideoServer(small_video.read_bytes()) as server:
        local = project.folder / "local.mp4"
        shutil.copy(small_video, local)
        lines = [f"{server.address}/{number}.mp4\n" if number % 3 else "local.mp4\n" for number in range(1, 25)]
        project.configure_list(dict.fromkeys(lines), 2)
        assert start(project).wait(timeout=300) == 0
        expected = made(project)
        assert len(expected) > 40

        shutil.rmtree(project.folder / "data")
        kills = 0
        deadline = time.monotonic() + 600
        while kills < KILLS:
            assert time.monotonic() < deadline
            run = start(project)
            while not at_work(project) and run.poll() is None:
                time.sleep(0.02)
            try:
                run.wait(timeout=drawn.uniform(0.0, 2.5) if at_work(project) else 300)
            except subprocess.TimeoutExpired:
                kills += at_work(project)
                os.killpg(run.pid, signal.SIGKILL)
                run.wait()
                # Whatever has its name is whole.
                assert made(project).items() <= expected.items()
                continue
            assert run.returncode == 0
            assert made(project) == expected
            shutil.rmtree(project.folder / "data")
        assert start(project).wait(timeout=300) == 0
        assert made(project) == expected
        left = [path for path in (project.folder / "data").rglob(".*") if path.name != ".snakemake_timestamp"]
        assert left == []
