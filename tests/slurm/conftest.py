"""One cluster for all tests of this folder; skipped where SLURM can be neither found nor installed."""

import copy
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.slurm.cluster import Cluster, NotInstalled, running_cluster, wait_until
from tests.tiny_run import TINY, Project, copy_project, render_videos

DRIVER = Path(__file__).with_name("driver.py")
GREY_CALL = '"python -m pipeline_src.stages.extract_grey '


@dataclass(frozen=True)
class Submitted:
    """A copy of the project that runs on the cluster."""

    project: Project
    cluster: Cluster

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        # Few jobs at a time: the nodes are one machine.
        quick = ["--slurm-init-seconds-before-status-checks", "1", "--latency-wait", "10", "--jobs", "3"]
        quick += ["--max-jobs-per-timespan", "20/1s"]
        options = ["--workflow-profile", "profiles/slurm", "--configfile", "tiny.yaml", *quick]
        return subprocess.Popen(
            [sys.executable, str(DRIVER), *arguments, *options],
            cwd=self.project.folder,
            env=self.cluster.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def snakemake(self, *arguments: str, timeout: float = 300, fails: bool = False) -> str:
        """What the run says until it ends as it should."""
        run = self.start(*arguments)
        try:
            said, _ = run.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            run.kill()
            raise AssertionError(f"still running after {timeout} s:\n{run.communicate()[0][-6000:]}") from None
        assert (run.returncode != 0) == fails, f"ended with {run.returncode}:\n{said[-6000:]}"
        return said

    def edit(self, name: str, old: str, new: str) -> None:
        """Change a file of this copy."""
        path = self.project.folder / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def slow_down_grey(self, seconds: int) -> None:
        """Let the grey stage wait before it works; outside its group, because a group's error does not say why."""
        self.edit("profiles/slurm/profile.yaml", "  extract_grey: shard\n", "")
        self.edit("workflow/rules/features.smk", GREY_CALL, f'"touch grey_begins; sleep {seconds}; ' + GREY_CALL[1:])

    def wait_for_grey(self, run: "subprocess.Popen[str]") -> str:
        """Number of the job of the grey stage, as soon as its command runs."""
        begins = self.project.folder / "grey_begins"
        wait_until(180, "the grey stage runs", lambda: begins.exists() or run.poll() is not None)
        assert begins.exists(), run.communicate()[0][-6000:]
        (number,) = self.cluster.jobs("running")
        return number


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    try:
        running = running_cluster()
        started = running.__enter__()
    except NotInstalled as error:
        pytest.skip(f"no SLURM: {error}")
    yield started
    running.__exit__(None, None, None)


@pytest.fixture(scope="session")
def decoded(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project whose pool is decoded, so that its grey stage is the next."""
    project = copy_project(tmp_path_factory.mktemp("decoded") / "project")
    render_videos(project.folder / "videos", 3)
    config = copy.deepcopy(TINY)
    config["collections"]["pool"]["modalities"] = ["rgb", "grey"]
    config["loss"]["terms"] = ["rgb.shuffle", "distill.grey.layer2"]
    project.configure(config)
    project.snakemake("data/pool/index.json")
    (project.folder / "data/pool/grey/000000.h5").unlink()
    return project


@pytest.fixture
def submitted(cluster: Cluster, decoded: Project, tmp_path: Path) -> Iterator[Submitted]:
    """The decoded project on a cluster that is idle again afterwards."""
    shutil.copytree(decoded.folder, tmp_path / "project")
    yield Submitted(Project(tmp_path / "project"), cluster)
    cluster.cancel_all()
