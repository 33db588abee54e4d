"""What goes wrong on a workstation: a run stops with a word and loses nothing, and a second call completes it."""

import copy
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import psutil
import pytest

from tests.e2e.test_tiny_run import reproduced
from tests.tiny_run import TINY, Project, jobs
from tests.workflow.test_repair import delete_as_told

pytestmark = pytest.mark.slow

KILLS = 10


@contextmanager
def mounted(folder: Path, size: str, *options: str) -> Iterator[None]:
    """A file system of its own for a folder, which keeps its content."""
    aside = folder.with_name(f"{folder.name}_aside")
    folder.rename(aside)
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        shutil.copytree(aside, folder, dirs_exist_ok=True)
        if options:
            subprocess.run(["mount", "-o", ",".join(["remount", *options]), str(folder)], check=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def in_a_stage(driver: int) -> bool:
    """Whether a Snakemake runs a job."""
    try:
        commands = [child.cmdline() for child in psutil.Process(driver).children(recursive=True)]
    except psutil.NoSuchProcess:
        return False
    return any("pipeline_src.stages" in word for command in commands for word in command)


def test_kills_at_random_moments_change_nothing(edited: Project) -> None:
    """From the index to the report; tests/e2e/test_killed.py does the same from the sources to the index.

    With one entry and no control of a single term, such a run takes 70 to 90 s on two free cores.
    """
    config = copy.deepcopy(TINY)
    config["lineup"] = [entry for entry in TINY["lineup"] if entry["kind"] == "evolved"]
    config["search"]["controls"] = []
    edited.configure(config)
    shutil.rmtree(edited.run)
    edited.snakemake()
    expected = reproduced(edited.run)
    shutil.rmtree(edited.run)
    drawn = random.Random(1)
    command = [sys.executable, "-m", "snakemake", "--configfile", "tiny.yaml", "--cores", "2", "--nolock", "--quiet"]
    kills = 0
    deadline = time.monotonic() + 900
    while True:
        assert time.monotonic() < deadline
        run = subprocess.Popen(command, cwd=edited.folder, stderr=subprocess.PIPE, text=True, start_new_session=True)
        while not in_a_stage(run.pid) and run.poll() is None:
            time.sleep(0.05)
        try:
            _, said = run.communicate(timeout=drawn.uniform(0, 9) if kills < KILLS else 600)
            assert run.returncode == 0, said
            assert reproduced(edited.run) == expected
            if kills == KILLS:
                break
            shutil.rmtree(edited.run)
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL)
            run.communicate()
            kills += 1
            # Whatever has its name is whole.
            assert reproduced(edited.run).items() <= expected.items()
    assert (edited.run / "report" / "index.html").is_file()


def test_a_full_disk_stops_the_run_with_a_word_and_loses_nothing(edited: Project) -> None:
    expected = reproduced(edited.run)
    with mounted(edited.run / "embeddings", "4m"):
        (edited.run / "embeddings/evolved/seed_0/labelled.npz").unlink()
        shutil.rmtree(edited.run / "transfer/labelled/split_1/evolved")
        shutil.rmtree(edited.run / "report")
        with (edited.run / "embeddings/filler").open("wb", buffering=0) as filler:
            try:
                while True:
                    filler.write(bytes(4096))
            except OSError:
                pass
        finished = reproduced(edited.run)
        stopped = edited.snakemake(check=False)
        assert stopped.returncode != 0
        told = [line for line in stopped.stderr.splitlines() if "no disk space left" in line]
        assert len(set(told)) == 1
        assert "free some space or move data_root or results_root" in told[0]
        assert "Traceback" not in stopped.stderr
        assert finished.items() <= reproduced(edited.run).items() <= expected.items()
        (edited.run / "embeddings/filler").unlink()
        edited.snakemake()
        assert reproduced(edited.run) == expected


@pytest.mark.parametrize("setting", ["data_root", "results_root"])
def test_a_folder_that_may_not_be_written_is_told_before_anything_is_done(edited: Project, setting: str) -> None:
    """What is there and would be written anew is told by Snakemake, as early."""
    (edited.folder / "locked").mkdir()
    edited.configure({**TINY, setting: "locked"})
    with mounted(edited.folder / "locked", "1m", "ro"):
        stopped = edited.snakemake(check=False)
    assert stopped.returncode == 2, stopped.stderr[-3000:]
    (told,) = (line for line in stopped.stderr.splitlines() if line.startswith("error: "))
    assert f"{setting}: " in told
    assert "allowed: a folder that can be written" in told
    assert "Traceback" not in stopped.stderr


def test_a_flipped_bit_in_a_shard_ends_the_training_that_would_learn_from_it(edited: Project) -> None:
    shard = edited.folder / "data/pool/frames/000000.h5"
    times = shard.stat().st_atime_ns, shard.stat().st_mtime_ns
    with h5py.File(shard) as file:
        chunk = file["data"].id.get_chunk_info(0)
    content = bytearray(shard.read_bytes())
    # Among the pictures, as a disk does it: neither size nor time tell.
    content[chunk.byte_offset + chunk.size // 2] ^= 4
    shard.write_bytes(content)
    os.utime(shard, ns=times)
    encoder = edited.run / "models/evolved/seed_0/encoder.safetensors"
    encoder.unlink()
    stopped = edited.snakemake(str(encoder.relative_to(edited.folder)), check=False)
    assert stopped.returncode != 0
    assert not encoder.exists()
    told = "".join(line for line in stopped.stderr.splitlines() if line.startswith("error: "))
    assert "data/pool/frames/000000.h5: " in told, stopped.stderr[-3000:]
    assert "verify_shards data/pool tells how to repair it" in told
    edited.snakemake(*delete_as_told(edited))
    edited.snakemake(str(encoder.relative_to(edited.folder)))
    assert encoder.exists()


def test_a_clock_that_was_set_back_between_runs_harms_nothing(edited: Project) -> None:
    config = copy.deepcopy(TINY)
    config["transfer"]["fewer_labels"] = {"linear": ["2shot"]}
    edited.configure(config)
    planned = edited.planned()
    assert planned["evaluate_fewer_labels"] == 2
    ahead = time.time() + 24 * 3600
    for folder in ("data", "results", ".snakemake"):
        for path in (edited.folder / folder).rglob("*"):
            os.utime(path, (ahead, ahead), follow_symlinks=False)
    before = {path: path.stat().st_mtime_ns for path in (edited.folder / "data").rglob("*")}
    dry = edited.snakemake("--dry-run")
    assert jobs(dry) == planned
    assert "The clock was set back by 86" in dry.stderr
    assert {path: path.stat().st_mtime_ns for path in (edited.folder / "data").rglob("*")} == before
    done = edited.snakemake()
    assert "The clock was set back by 86" in done.stderr
    assert "The clock was set back" not in edited.snakemake("--dry-run").stderr
    assert edited.planned() == {}
