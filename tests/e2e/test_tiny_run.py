"""A tiny real run from video files to the report: what a user gets at the end, and that it is the same twice."""

import csv
import hashlib
import json
import shutil
from pathlib import Path

import pytest

from tests.tiny_run import TINY, Project, copy_project

pytestmark = pytest.mark.slow

# What two runs with one seed share byte for byte on a CPU, relative to the run's folder.
REPRODUCED = (
    "overlap.json",
    "search/scales.json",
    "search/controls.json",
    "search/gen_*/population.csv",
    "search/gen_*/generation.csv",
    "search/gen_*/state.json",
    "search/gen_*/rung_*/seed_*/job_*/metrics.jsonl",
    "search/gen_*/rung_*/seed_*/job_*/fitness.json",
    "models/*/weights.json",
    "models/*/seed_*/metrics.jsonl",
    "models/*/seed_*/fitness.json",
    "models/*/seed_*/encoder.safetensors",
    "embeddings/*/seed_*/*.npz",
    "transfer/*/split_*/baselines.json",
    "transfer/*/split_*/*/seed_*/*.json",
    "transfer/*.csv",
    "export/*/encoder.safetensors",
    "export/*/README.md",
)


def reproduced(run: Path) -> dict[str, str]:
    files = sorted({path for pattern in REPRODUCED for path in run.glob(pattern)})
    return {str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_report_stands_at_the_end(finished: Project) -> None:
    page = (finished.run / "report" / "index.html").read_text()
    assert "<table" in page
    assert "evolved" in page


def test_every_entry_has_a_result_of_every_method(finished: Project) -> None:
    with open(finished.run / "transfer" / "results.csv") as file:
        rows = list(csv.DictReader(file))
    found = {(row["entry"], row["method"]) for row in rows}
    methods = ("kmeans", "linear", "finetune", "retrieval", "knn")
    wanted = {(entry["name"], method) for entry in TINY["lineup"] for method in methods}
    assert found >= wanted
    assert {entry for entry, _ in found} >= {"frame count", "raw pixels"}
    assert all(0 <= float(row["top1"]) <= 1 for row in rows)


def test_a_file_that_is_no_video_is_a_row_not_a_failure(finished: Project) -> None:
    index = json.loads((finished.folder / "data/pool/index.json").read_text())
    assert (index["planned"], index["usable"]) == (30, 29)
    assert sum(index["failed"].values()) == 1
    page = (finished.run / "report" / "index.html").read_text()
    assert "no_video" in page or "no video" in page


def test_only_weights_metrics_and_fitness_of_individuals_stay(finished: Project) -> None:
    kept = {path.name for path in (finished.run / "search/gen_000/rung_0/seed_0/job_000").iterdir()}
    assert kept == {"metrics.jsonl", "fitness.json"}


def test_nothing_half_written_is_left(finished: Project) -> None:
    hidden = [
        p
        for p in finished.folder.rglob(".*")
        if ".snakemake" not in p.parts and p.name != ".snakemake_timestamp" and p.is_file()
    ]
    assert hidden == []
    assert not list(finished.folder.rglob("resume.pt"))


def test_two_runs_with_one_seed_give_the_same_bytes(finished: Project, tmp_path: Path) -> None:
    """Whatever the order of jobs: the second run has one core, the first two. It makes what one entry needs."""
    again = copy_project(tmp_path / "again")
    shutil.copytree(finished.folder / "videos", again.folder / "videos")
    wanted = [name for name in reproduced(finished.run) if "/evolved/" in name and "README" not in name]
    again.snakemake("--cores", "1", *(f"results/tiny/{name}" for name in wanted))
    one, two = reproduced(finished.run), reproduced(again.run)
    assert len(two) > 20
    assert wanted
    assert {name: one.get(name) for name in two} == two
    assert two.keys() >= set(wanted)
