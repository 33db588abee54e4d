"""What goes wrong on clusters: a run goes on by itself, or says what is wrong and is completed by a second call."""

import signal
import subprocess
from pathlib import Path

import pytest

from tests.slurm.cluster import wait_until
from tests.slurm.conftest import Submitted

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

GREY = "data/pool/grey/000000.h5"


def made(submitted: Submitted) -> bool:
    return (submitted.project.folder / GREY).is_file()


def attempts(submitted: Submitted, before: set[str]) -> list[dict[str, str]]:
    """The submissions of the grey stage, first to last."""
    jobs = [job for job in submitted.cluster.all_jobs() if job["JobId"] not in before]
    return sorted((job for job in jobs if "extract_grey" in job["Comment"]), key=lambda job: int(job["JobId"]))


@pytest.fixture
def before(submitted: Submitted) -> set[str]:
    return set(submitted.cluster.jobs("all"))


def test_a_cancelled_job_is_submitted_again(submitted: Submitted, before: set[str]) -> None:
    submitted.slow_down_grey(8)
    run = submitted.start(GREY)
    submitted.cluster.call("scancel", submitted.wait_for_grey(run))
    said, _ = run.communicate(timeout=180)
    assert run.returncode == 0, said
    assert "SLURM status is: 'CANCELLED'" in said
    assert [job["JobState"] for job in attempts(submitted, before)] == ["CANCELLED", "COMPLETED"]
    assert made(submitted)


def test_a_job_that_is_cancelled_every_time_fails_and_a_second_call_completes_the_run(submitted: Submitted) -> None:
    submitted.slow_down_grey(8)
    run = submitted.start(GREY, "--retries", "0")
    submitted.cluster.call("scancel", submitted.wait_for_grey(run))
    said, _ = run.communicate(timeout=180)
    assert run.returncode != 0
    assert "extract_grey" in said
    assert "SLURM status is: 'CANCELLED'" in said
    assert not made(submitted)
    submitted.snakemake(GREY)
    assert made(submitted)


def test_a_time_limit_that_was_too_short_grows(submitted: Submitted, before: set[str]) -> None:
    submitted.slow_down_grey(75)
    submitted.edit("workflow/rules/features.smk", "runtime=grows(60)", "runtime=grows(1)")
    submitted.snakemake(GREY, timeout=420)
    jobs = attempts(submitted, before)
    assert [(job["JobState"], job["TimeLimit"]) for job in jobs] == [
        ("TIMEOUT", "00:01:00"),
        ("COMPLETED", "00:02:00"),
    ]


def test_a_job_killed_for_its_memory_gets_more(submitted: Submitted, before: set[str]) -> None:
    submitted.slow_down_grey(0)
    # What the job takes lies between the first and the second attempt's limit.
    hold = "python -c 'import time; held = bytearray(600 * 2**20); time.sleep(6)'; "
    submitted.edit("workflow/rules/features.smk", "sleep 0; ", hold)
    submitted.edit(
        "workflow/rules/features.smk",
        "mem_mb=grows(2000),\n        runtime=grows(60)",
        "mem_mb=grows(700),\n        runtime=grows(60)",
    )
    submitted.snakemake(GREY)
    jobs = attempts(submitted, before)
    assert [job["MinMemoryNode"] for job in jobs] == ["700M", "1400M"]
    # Without cgroups SLURM calls it failed; why stands in the job's log.
    assert [job["JobState"] for job in jobs] == ["FAILED", "COMPLETED"]
    assert "Exceeded job memory limit" in Path(jobs[0]["StdOut"]).read_text()


def test_no_attempt_asks_for_more_than_the_largest_request(submitted: Submitted, before: set[str]) -> None:
    """Else SLURM would refuse it for ever."""
    submitted.slow_down_grey(8)
    submitted.edit("profiles/slurm/profile.yaml", "mem_mb: 250000\n  runtime: 4320", "mem_mb: 3000\n  runtime: 90")
    run = submitted.start(GREY)
    submitted.cluster.call("scancel", submitted.wait_for_grey(run))
    said, _ = run.communicate(timeout=180)
    assert run.returncode == 0, said
    jobs = attempts(submitted, before)
    assert [(job["MinMemoryNode"], job["TimeLimit"]) for job in jobs] == [("2000M", "01:00:00"), ("3000M", "01:30:00")]


def test_a_job_of_a_lost_node_is_queued_again(submitted: Submitted, before: set[str]) -> None:
    submitted.slow_down_grey(10)
    run = submitted.start(GREY)
    number = submitted.wait_for_grey(run)
    node = submitted.cluster.job(number)["NodeList"]
    try:
        submitted.cluster.kill_node(node)
        said, _ = run.communicate(timeout=300)
    finally:
        submitted.cluster.start_node(node)
        submitted.cluster.wait_for_idle()
    assert run.returncode == 0, said
    (job,) = attempts(submitted, before)
    assert job["JobState"] == "COMPLETED"
    assert int(job["Restarts"]) == 1
    assert job["NodeList"] != node
    assert made(submitted)


def test_refused_submissions_are_told_and_a_second_call_completes_the_run(submitted: Submitted) -> None:
    submitted.slow_down_grey(0)
    submitted.cluster.call("scontrol", "update", "PartitionName=main", "State=INACTIVE")
    try:
        said = submitted.snakemake(GREY, fails=True)
    finally:
        submitted.cluster.call("scontrol", "update", "PartitionName=main", "State=UP")
    assert "sbatch failed" in said
    assert "partition" in said.lower()
    submitted.snakemake(GREY)
    assert made(submitted)


def test_a_second_driver_is_refused(submitted: Submitted, before: set[str]) -> None:
    submitted.slow_down_grey(10)
    run = submitted.start(GREY)
    submitted.wait_for_grey(run)
    said = submitted.snakemake(GREY, timeout=60, fails=True)
    assert "cannot be locked" in said
    said, _ = run.communicate(timeout=180)
    assert run.returncode == 0, said
    assert [job["JobState"] for job in attempts(submitted, before)] == ["COMPLETED"]


def test_a_killed_driver_is_started_again(submitted: Submitted, before: set[str]) -> None:
    """As docs/slurm.md says: cancel what it has left in the queue, unlock, start."""
    submitted.slow_down_grey(10)
    run = submitted.start(GREY)
    number = submitted.wait_for_grey(run)
    run.send_signal(signal.SIGKILL)
    run.communicate()
    assert "--unlock" in submitted.snakemake(GREY, timeout=60, fails=True)
    submitted.cluster.call("scancel", "--name", submitted.cluster.job(number)["JobName"])
    wait_until(30, "its jobs have ended", lambda: not submitted.cluster.jobs())
    submitted.snakemake("--unlock", timeout=60)
    submitted.snakemake(GREY)
    assert [job["JobState"] for job in attempts(submitted, before)] == ["CANCELLED", "COMPLETED"]
    assert made(submitted)


def test_a_job_that_asks_for_a_gpu_gets_a_node_with_one(submitted: Submitted, before: set[str]) -> None:
    submitted.slow_down_grey(0)
    submitted.snakemake(GREY, "--set-resources", "extract_grey:gpu=1")
    assert [job["Partition"] for job in attempts(submitted, before)] == ["gpu"]
    # What needs none stays where there are none.
    (submitted.project.folder / GREY).unlink()
    submitted.snakemake(GREY)
    assert [job["Partition"] for job in attempts(submitted, before)] == ["gpu", "main"]


def wait_in_the_queue(submitted: Submitted) -> "subprocess.Popen[str]":
    """A run whose job waits, until `PartitionName=main` is up again."""
    submitted.slow_down_grey(0)
    submitted.cluster.call("scontrol", "update", "PartitionName=main", "State=DOWN")
    run = submitted.start(GREY, "--retries", "0")
    wait_until(60, "a job waits", lambda: bool(submitted.cluster.jobs("pending")) or run.poll() is not None)
    assert run.poll() is None, run.communicate()[0][-6000:]
    return run


def test_code_and_settings_edited_while_a_job_waits_do_not_matter_to_it(submitted: Submitted) -> None:
    try:
        run = wait_in_the_queue(submitted)
        for file in (submitted.project.folder / "pipeline_src").rglob("*.py"):
            file.write_text("raise SystemExit('edited')\n")
        submitted.project.configure({"run": 1})
    finally:
        submitted.cluster.call("scontrol", "update", "PartitionName=main", "State=UP")
    said, _ = run.communicate(timeout=180)
    assert run.returncode == 0, said
    assert made(submitted)


def test_rules_edited_while_a_job_waits_stop_it_with_a_word(submitted: Submitted, before: set[str]) -> None:
    try:
        run = wait_in_the_queue(submitted)
        submitted.edit("workflow/rules/features.smk", "sleep 0; ", "sleep 1; ")
    finally:
        submitted.cluster.call("scontrol", "update", "PartitionName=main", "State=UP")
    said, _ = run.communicate(timeout=180)
    assert run.returncode != 0, said
    (job,) = attempts(submitted, before)
    log = Path(job["StdOut"]).read_text()
    assert "workflow/ was edited after this run was planned; start Snakemake again" in log
    assert not made(submitted)
