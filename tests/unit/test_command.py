"""How a stage's program ends."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline_src.errors import UserError
from pipeline_src.stages.command import run

ROOT = Path(__file__).resolve().parents[2]
SHARD = """
import numpy as np
from pipeline_src.errors import UserError
from pipeline_src.shards.writer import ShardWriter
from pipeline_src.stages.command import run
import sys, time

def main():
    with ShardWriter(sys.argv[1], modality="grey", item_shape=(64, 64, 1), dtype=np.uint8) as writer:
        for number in range(200):
            writer.add(str(number), np.random.default_rng(number).integers(0, 256, (8, 64, 64, 1), dtype=np.uint8))
            if sys.argv[2] == "slow":
                print(number, flush=True)
                time.sleep(0.05)

run(main)
"""


def start(folder: Path, pace: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SHARD, str(folder / "a.h5"), pace]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_sigterm_leaves_no_half_written_shard(tmp_path: Path) -> None:
    """A cancelled cluster job would otherwise leave a hidden file as large as a shard every time."""
    job = start(tmp_path, "slow")
    assert job.stdout is not None
    job.stdout.readline()
    job.send_signal(signal.SIGTERM)
    job.communicate(timeout=60)
    assert job.returncode == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_line_and_exit_code_2(small_disk: Path) -> None:
    """HDF5 crashes at an ordinary exit here."""
    job = start(small_disk, "fast")
    _, told = job.communicate(timeout=60)
    assert job.returncode == 2
    assert told.startswith(f"error: {small_disk / 'a.h5'}: no disk space left")
    assert told.count("\n") == 1
    assert os.listdir(small_disk) == []


def test_in_a_run_a_stage_leaves_its_record_in_the_log_even_if_it_fails(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails() -> None:
        raise UserError("no")

    for planned in (None, "/a/folder"):
        if planned:
            monkeypatch.setenv("EVOLVED_LOSSES_CODE", planned)
        with pytest.raises(SystemExit):
            run(fails)
        lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("{")]
        records = [json.loads(line)["job"] for line in lines]
        assert len(records) == (2 if planned else 0)
    begin, end = records
    assert begin["host"]
    assert begin["packages"]["h5py"][0].isdigit()
    assert begin["began"] <= end["ended"]
    assert end["cpu_seconds"] > 0
    assert end["largest_process_mb"] > 10
