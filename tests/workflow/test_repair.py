"""The commands that verify_shards prints remake a broken shard and what was made of it, and nothing is left broken."""

import os
import re
import subprocess
import sys

import pytest

from tests.tiny_run import Project

pytestmark = pytest.mark.slow

DECODED = {"fetch_clips": 1, "decode_clips": 1, "extract_flow": 1, "extract_grey": 1, "extract_audio": 1}


def verify(project: Project) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-m", "pipeline_src.stages.verify_shards", "data/pool", "data/labelled"]
    return subprocess.run(program, cwd=project.folder, capture_output=True, text=True)


def delete_as_told(project: Project) -> list[str]:
    """Verify, run the printed `rm` and return the printed targets for Snakemake."""
    done = verify(project)
    assert done.returncode == 1, done.stderr
    remove, make = (line.split() for line in done.stdout.splitlines()[-2:])
    assert (remove[:2], make[0]) == (["rm", "-f"], "snakemake")
    subprocess.run(remove, cwd=project.folder, check=True)
    return make[1:]


@pytest.mark.parametrize(
    ("path", "remade"),
    [
        ("frames/000001.h5", DECODED),
        ("sound/000001.h5", DECODED),
        ("status/decode/000001.csv", DECODED),
        ("flow/000001.h5", {"extract_flow": 1}),
        ("grey/000001.h5", {"extract_grey": 1}),
        ("audio/000001.h5", {"extract_audio": 1}),
        ("clips.csv", {}),
        ("index.json", {}),
    ],
)
def test_exactly_what_is_broken_and_what_was_made_of_it_is_remade(
    edited: Project, path: str, remade: dict[str, int]
) -> None:
    pool = edited.folder / "data/pool"
    os.truncate(pool / path, (pool / path).stat().st_size - 10)
    assert edited.planned(*delete_as_told(edited)) == {**remade, "index_collection": 1}


def test_whatever_is_missing_is_asked_for_by_a_plain_call(edited: Project) -> None:
    """A job that failed leaves nothing, while what was made of its earlier result stays."""
    graph = edited.snakemake("--dag").stdout
    jobs = set(re.findall(r"^\s*(\d+)\[", graph, re.M))
    (everything,) = re.findall(r'^\s*(\d+)\[label = "all"', graph, re.M)
    asked_for = set(re.findall(rf"^\s*(\d+) -> {everything}$", graph, re.M))
    assert len(jobs) > 50
    assert jobs - asked_for == {everything}


def test_jobs_that_failed_after_an_edit_are_done_by_the_next_call(edited: Project) -> None:
    grey = edited.folder / "data/pool/grey"
    before = {path.name: path.read_bytes() for path in grey.glob("*.h5")}
    stage = edited.folder / "pipeline_src/stages/extract_grey.py"
    text = stage.read_text()
    stage.write_text("raise SystemExit('no')\n")
    target = "results/tiny/search/scales.json"
    assert edited.snakemake("--keep-going", "--", target, check=False).returncode == 1
    assert not list(grey.glob("*.h5"))
    stage.write_text(text)
    assert edited.planned()["extract_grey"] == len(before)
    edited.snakemake("data/pool/index.json", *(f"data/pool/grey/{name}" for name in before))
    assert {path.name: path.read_bytes() for path in grey.glob("*.h5")} == before


def test_a_repaired_pool_is_whole_and_the_same_as_before(edited: Project) -> None:
    pool = edited.folder / "data/pool"
    before = (pool / "index.json").read_bytes()
    for broken in ("frames/000000.h5", "flow/000002.h5"):
        os.truncate(pool / broken, 3000)
    edited.snakemake(*delete_as_told(edited))
    done = verify(edited)
    assert (done.returncode, done.stdout) == (0, "")
    assert (pool / "index.json").read_bytes() == before
