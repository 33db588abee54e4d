"""Trainings on a cluster: preempted in the middle, and on several processes."""

import copy
import re
from pathlib import Path

import pytest

from tests.slurm.cluster import wait_until
from tests.slurm.conftest import Submitted
from tests.tiny_run import TINY

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

MODEL = "results/tiny/models/shuffle/seed_0"


def prepare(submitted: Submitted, **final: object) -> Path:
    """All that the training of an entry needs is there; where its encoder will be."""
    config = copy.deepcopy(TINY)
    config["collections"]["pool"]["modalities"] = ["rgb", "grey"]
    config["loss"]["terms"] = ["rgb.shuffle", "distill.grey.layer2"]
    config["lineup"] = [{"name": "shuffle", "kind": "single", "term": "rgb.shuffle"}]
    config["final"] |= final
    submitted.project.configure(config)
    submitted.project.snakemake("data/pool/grey/000000.h5")
    submitted.project.snakemake("results/tiny/search/scales.json", "results/tiny/models/shuffle/weights.json")
    return submitted.project.folder / MODEL / "encoder.safetensors"


def test_a_preempted_training_goes_on_from_its_checkpoint(submitted: Submitted) -> None:
    encoder = prepare(submitted, iterations=1200, checkpoint_every_s=0.5)
    before = set(submitted.cluster.jobs("all"))
    run = submitted.start(str(encoder.relative_to(submitted.project.folder)))
    checkpoint = encoder.with_name("resume.pt")
    wait_until(120, "the training has a checkpoint", lambda: checkpoint.exists() or run.poll() is not None)
    assert run.poll() is None, run.communicate()[0][-6000:]
    (number,) = submitted.cluster.jobs("running")
    node = submitted.cluster.job(number)["NodeList"]
    # Somebody with more rights wants the whole node for a moment.
    urgent = ["--partition", "urgent", "--nodelist", node, "--exclusive", "--output", "/dev/null", "--wrap", "sleep 2"]
    submitted.cluster.call("sbatch", *urgent)
    said, _ = run.communicate(timeout=300)
    assert run.returncode == 0, said[-6000:]
    assert encoder.exists()
    jobs = [job for job in submitted.cluster.all_jobs() if job["JobId"] not in before]
    (training,) = (job for job in jobs if "pretrain_model" in job.get("Comment", ""))
    assert (training["JobState"], training["Restarts"]) == ("COMPLETED", "1")
    log = (submitted.project.run / "logs/pretrain_model/shuffle_0.log").read_text()
    resumed = re.search(r"resuming at iteration (\d+) of 1200", log)
    assert resumed, log
    assert int(resumed[1]) > 0


def test_a_training_on_two_processes_is_one_job(submitted: Submitted) -> None:
    encoder = prepare(submitted, iterations=4, processes=2)
    before = set(submitted.cluster.jobs("all"))
    submitted.snakemake(str(encoder.relative_to(submitted.project.folder)))
    (job,) = (job for job in submitted.cluster.all_jobs() if job["JobId"] not in before)
    assert int(job["NumCPUs"]) >= 2
    assert job["NumNodes"] == "1"
    log = (submitted.project.run / "logs/pretrain_model/shuffle_0.log").read_text()
    assert log.count('{"job": {"began"') == 3, log  # the one that starts the two, and both
    assert encoder.exists()
