"""What Snakemake plans, by dry-runs: cheap for users to ask, and large searches must plan too."""

import copy
import functools
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.tiny_run import TINY, Project, copy_project
from workflow.planned_code import CODE

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = copy_project(tmp_path_factory.mktemp("plan"))
    (project.folder / "videos").mkdir()
    (project.folder / "videos" / "a.mp4").touch()
    return project


def config(**sections: Any) -> dict[str, Any]:
    return {**copy.deepcopy(TINY), **sections}


def test_bare_snakemake_plans_the_demo(fresh: Project) -> None:
    """`snakemake -n` with the default configuration and profile."""
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "-n"], cwd=fresh.folder, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "try_weights" in done.stdout


def test_a_search_of_many_generations_plans(fresh: Project) -> None:
    """A generation depends on the one before; Python's recursion limit would stop at about 155 of them."""
    fresh.configure(config(search={"population": 2, "generations": 400}))
    planned = fresh.planned()
    assert planned["try_weights"] == 800
    assert planned["rank_generation"] == 400


def job_of_the_last_generation(project: Project) -> Callable[[], subprocess.CompletedProcess[str]]:
    """Starts, as a dry-run, what SLURM's executor starts as a job of generation 249."""
    project.configure(config(search={"population": 2, "generations": 250}))
    project.planned()
    planned = project.folder / ".snakemake" / "planned"
    code = max((folder for folder in planned.iterdir() if folder.is_dir()), key=os.path.getmtime)
    configuration = max(planned.glob("*.json"), key=os.path.getmtime)
    needed = ["search/scales.json", "search/gen_249/population.csv"]
    indices = [project.folder / "data" / name / "index.json" for name in ("pool", "labelled")]
    for path in [*(project.run / name for name in needed), *indices]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    project.configure({"edited": "since"})
    target = "try_weights:search=search,generation=249,rung=0,seed=0,job=000"
    job = ["--allowed-rules", "try_weights", "--target-jobs", target, "--force", "--nolock"]
    options = ["--configfiles", str(configuration), "--cores", "1", "--dry-run", "--debug-dag", *job]
    return functools.partial(
        subprocess.run,
        [sys.executable, "-m", "snakemake", *options],
        cwd=project.folder,
        env={**os.environ, CODE: str(code)},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_job_on_a_cluster_plans_nothing_but_itself(fresh: Project) -> None:
    """Planning what comes before it took 19 s in every job of the last generation."""
    done = job_of_the_last_generation(fresh)()
    assert done.returncode == 0, done.stderr[-2000:]
    candidates = [line.split()[2] for line in done.stdout.splitlines() if line.startswith("candidate job")]
    assert candidates == ["try_weights"]


def test_rungs_shared_jobs_and_seeds_plan_as_many_jobs_as_they_have_slots(fresh: Project) -> None:
    """Of 9 individuals 3, then 1 go on; two share a job, each is trained twice; the second generation has 12."""
    trials = {"rungs": 3, "eta": 3, "share": 2, "seeds": 2}
    fresh.configure(config(search={"population": 9, "generations": 2, "trials": trials, "larger": {1: 12}}))
    planned = fresh.planned("results/tiny/search/individuals.csv")
    assert planned["try_weights_further"] == 2 * (5 + 2) + 2 * (6 + 2)
    assert planned["try_weights"] == 2 * 1 + 2 * 1


def test_a_configuration_file_replaces_the_default_one(fresh: Project) -> None:
    """Merged with it, the demo's collections would be rendered and decoded as well."""
    fresh.configure(config())
    done = fresh.snakemake("--dry-run")
    assert "data/demo" not in done.stdout
    assert "data/labelled" in done.stdout


def test_a_lineup_without_evolved_entries_runs_no_search_for_it(fresh: Project) -> None:
    fresh.configure(config(lineup=[{"name": "scratch", "kind": "scratch"}]))
    assert fresh.planned("results/tiny/transfer/results.csv").get("try_weights") is None
