"""The tiny run on a cluster: what a user gets there is what the workstation gives, byte for byte."""

import shutil
from pathlib import Path

import pytest

from tests.e2e.test_tiny_run import reproduced
from tests.slurm.cluster import Cluster
from tests.slurm.conftest import Submitted
from tests.tiny_run import Project, copy_project

pytestmark = [pytest.mark.slurm, pytest.mark.slow]


def test_the_cluster_gives_the_bytes_of_the_workstation(finished: Project, cluster: Cluster, tmp_path: Path) -> None:
    project = copy_project(tmp_path / "project")
    shutil.copytree(finished.folder / "videos", project.folder / "videos")
    before = set(cluster.jobs("all"))
    Submitted(project, cluster).snakemake(timeout=2400)
    here, there = reproduced(finished.run), reproduced(project.run)
    assert len(here) > 40
    assert {name for name in here.keys() | there.keys() if here.get(name) != there.get(name)} == set()
    assert (project.run / "report" / "index.html").is_file()

    jobs = [job for job in cluster.all_jobs() if job["JobId"] not in before]
    assert {job["JobState"] for job in jobs} == {"COMPLETED"}
    # An individual of the search costs one submission, and so does all that a shard needs but its flow.
    assert sum("try_weights" in job["Comment"] for job in jobs) == len(
        list(project.run.glob("search/gen_*/rung_*/seed_*/job_*/fitness.json"))
    )
    assert not any(job["Comment"].startswith("rule_extract_grey") for job in jobs)
