"""A clock that was set back between runs: every folder that runs have filled is mended, when it is used next."""

import os
import sys
import time
from pathlib import Path

import pytest

from workflow.clock import take_back_the_future

AHEAD_S = 24 * 3600.0


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What two runs have made of one collection, and Snakemake's log of the last."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["snakemake", "--cores", "2"])
    for name in (
        "data/pool/frames/000000.h5",
        "results/a/models/evolved/seed_0/x.json",
        "results/b/search/scales.json",
    ):
        path = Path(name)
        path.parent.mkdir(parents=True)
        path.touch()
    Path(".snakemake/log").mkdir(parents=True)
    Path(".snakemake/log/last.log").touch()
    return tmp_path


def put_ahead(*folders: str) -> None:
    ahead = time.time() + AHEAD_S
    for folder in folders:
        for path in Path(folder).rglob("*"):
            os.utime(path, (ahead, ahead))


def times(folder: str) -> dict[Path, float]:
    return {path: path.stat().st_mtime for path in Path(folder).rglob("*")}


@pytest.mark.parametrize("option", ["-n", "--dry-run", "-nq", "-pn", "--summary", "--dag", "--lint", "--unlock"])
def test_a_call_that_runs_nothing_tells_and_changes_nothing(
    made: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    put_ahead("data", "results", ".snakemake")
    before = times(".")
    monkeypatch.setattr(sys, "argv", ["snakemake", option, "--configfile", "tiny.yaml"])
    take_back_the_future([Path("data"), Path("results/a")])
    assert times(".") == before
    assert "The clock was set back by 86" in capsys.readouterr().err


def test_every_run_is_mended_when_it_is_used_next(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The first one has a log of the present, which says nothing about the others."""
    put_ahead("data", "results", ".snakemake")
    take_back_the_future([Path("data"), Path("results/a")])
    assert max((times("data") | times("results/a")).values()) <= time.time()
    assert capsys.readouterr().err.count("The clock was set back") == 1
    take_back_the_future([Path("data"), Path("results/b")])
    assert max(times("results/b").values()) <= time.time()
    assert capsys.readouterr().err.count("The clock was set back") == 1
    take_back_the_future([Path("data"), Path("results/b")])
    assert capsys.readouterr().err == ""


def test_a_clock_that_was_set_back_during_a_run_is_noticed(made: Path) -> None:
    """Its log ends in the present; what it had made before does not."""
    put_ahead("data", "results")
    Path("results/a/report").mkdir()
    take_back_the_future([Path("data"), Path("results/a")])
    assert max((times("data") | times("results/a")).values()) <= time.time()


def test_looking_takes_no_longer_with_thousands_of_files(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3000):
        Path(f"data/pool/frames/{number:06d}.h5").touch()
    looked = []
    there = Path.lstat
    monkeypatch.setattr(Path, "lstat", lambda path: looked.append(path) or there(path))
    take_back_the_future([Path("data"), Path("results/a")])
    assert len(looked) < 20
