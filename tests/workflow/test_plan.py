"""What Snakemake plans, by dry-runs: cheap for users to ask, and large searches must plan too."""

import copy
import subprocess
import sys
from typing import Any

import pytest

from tests.tiny_run import TINY, Project, copy_project

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
    assert "pretrain_individual" in done.stdout


def test_a_search_of_many_generations_plans(fresh: Project) -> None:
    """A generation depends on the one before; Python's recursion limit would stop at about 155 of them."""
    fresh.configure(config(search={"population": 2, "generations": 400}))
    planned = fresh.planned()
    assert planned["pretrain_individual"] == 800
    assert planned["rank_generation"] == 400


def test_a_configuration_file_replaces_the_default_one(fresh: Project) -> None:
    """Merged with it, the demo's collections would be rendered and decoded as well."""
    fresh.configure(config())
    done = fresh.snakemake("--dry-run")
    assert "data/demo" not in done.stdout
    assert "data/labelled" in done.stdout


def test_a_lineup_without_evolved_entries_runs_no_search_for_it(fresh: Project) -> None:
    fresh.configure(config(lineup=[{"name": "scratch", "kind": "scratch"}]))
    assert fresh.planned("results/tiny/transfer/results.csv").get("pretrain_individual") is None
