"""What a job costs on a cluster beside its work: the same jobs run here and through a SLURM on this machine.

    python -m tests.benchmarks.slurm_overhead

Both run two jobs at a time, those of the grey stage, which does next to nothing.
"""

import copy
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from tests.slurm.cluster import Cluster, running_cluster
from tests.slurm.conftest import DRIVER
from tests.tiny_run import TINY, Project, copy_project, render_videos
from tests.workflow.test_plan import job_of_the_last_generation

SHARDS = 16
SIDE_BY_SIDE = 2


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, running_cluster() as cluster:
        project = prepared(Path(folder) / "project")
        bare = [sys.executable, "-m", "snakemake", "--version"]
        print(f"Snakemake's own start: {typical(lambda: subprocess.run(bare, capture_output=True))}")
        print(f"planning ({SHARDS} jobs): {typical(lambda: project.snakemake('--dry-run', *targets()))}")
        last = copy_project(Path(folder) / "last")
        shutil.copytree(project.folder / "videos", last.folder / "videos")
        start = job_of_the_last_generation(last)
        print(f"planning in a job of the last of 250 generations: {typical(start)}")
        here = seconds(project, [sys.executable, "-m", "snakemake", "--cores", str(SIDE_BY_SIDE)])
        clear(project)
        before = set(cluster.jobs("all"))
        options = ["--workflow-profile", "profiles/slurm", "--slurm-init-seconds-before-status-checks", "1"]
        there = seconds(project, [sys.executable, str(DRIVER), *options, "--jobs", str(SIDE_BY_SIDE)], cluster)
        waited, ran = job_times(cluster, before)
        print(f"here: {here:.1f} s, {SIDE_BY_SIDE * here / SHARDS:.1f} s a job")
        print(f"SLURM: {there:.1f} s, {SIDE_BY_SIDE * there / SHARDS:.1f} s a job")
        print(f"a submitted job: {waited:.1f} s from submission to start, {ran:.1f} s from start to end")
        print(f"the cluster's own cost: {SIDE_BY_SIDE * (there - here) / SHARDS:.1f} s a job")


def prepared(folder: Path) -> Project:
    """A project whose pool is decoded and has no grey shards."""
    project = copy_project(folder)
    render_videos(project.folder / "videos", SHARDS)
    config = copy.deepcopy(TINY)
    config["collections"]["pool"]["modalities"] = ["rgb", "grey"]
    config["collections"]["pool"]["plan"]["clips_per_shard"] = 1
    config["loss"]["terms"] = ["rgb.shuffle", "distill.grey.layer2"]
    project.configure(config)
    project.snakemake("data/pool/index.json")
    clear(project)
    return project


def typical(call: Callable[[], object]) -> str:
    """Median seconds of a call, and the least, of seven."""
    found = []
    for _ in range(7):
        started = time.monotonic()
        call()
        found.append(time.monotonic() - started)
    return f"{statistics.median(found):.1f} s (at least {min(found):.1f})"


def targets() -> list[str]:
    return [f"data/pool/grey/{number:06d}.h5" for number in range(SHARDS)]


def clear(project: Project) -> None:
    shutil.rmtree(project.folder / "data/pool/grey")


def seconds(project: Project, command: list[str], cluster: Cluster | None = None) -> float:
    started = time.monotonic()
    done = subprocess.run(
        [*command, "--configfile", "tiny.yaml", "--", *targets()],
        cwd=project.folder,
        env=cluster.environment if cluster else None,
        capture_output=True,
        text=True,
        timeout=1800,
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    return time.monotonic() - started


def job_times(cluster: Cluster, before: set[str]) -> tuple[float, float]:
    """Mean seconds from submission to start, and from start to end."""
    jobs = [job for job in cluster.all_jobs() if job["JobId"] not in before]
    times = [[datetime.fromisoformat(job[name]) for name in ("SubmitTime", "StartTime", "EndTime")] for job in jobs]
    waited = sum((start - submit).total_seconds() for submit, start, _ in times) / len(times)
    return waited, sum((end - start).total_seconds() for _, start, end in times) / len(times)


if __name__ == "__main__":
    main()
