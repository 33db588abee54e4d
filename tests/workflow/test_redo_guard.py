"""The guard: work worth hours is not done again without a word."""

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_run import ROOT, TINY, Project
from workflow.redo_guard import Redone, _unasked, parameter_changes, told


def changes_of(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """What is said where these settings have changed, as Snakemake keeps parameters."""
    before, now = ({repr(json.dumps(settings)), repr("0123456789abcdef")} for settings in (old, new))
    return parameter_changes(before - now, now - before)


def test_the_cost_is_told_by_cause() -> None:
    edited = ("its rule was edited",)
    said = told(
        [Redone("try_weights", 3600, edited), Redone("try_weights", 3600, edited), Redone("rank_generation", 1800, ())],
        1.4,
    ).split("\n")
    assert said[0] == "error: 2.5 hours of finished work would be done again - allowed by redo_hours: 1.4"
    assert said[1] == "  2.0 h  its rule was edited: try_weights (2)"
    assert said[2] == "  0.5 h  what follows from that: rank_generation (1)"
    assert said[3].endswith("snakemake --config redo_hours=3")


def test_many_causes_are_cut_short_at_the_cheapest() -> None:
    said = told([Redone("a", 60 * number, (f"cause {number}",)) for number in range(1, 31)], 0)
    assert "cause 30" in said
    assert "cause 18:" not in said
    assert "and 18 more causes" in said


def test_changed_settings_are_named_with_their_values() -> None:
    old = {"training": {"iterations": 100, "optimiser": {"name": "sgd"}}, "code": "a"}
    new = {"training": {"iterations": 200, "optimiser": {"name": "sgd"}, "clip": [1, 2]}, "code": "a"}
    assert changes_of(old, new) == ["training.clip nothing -> [1, 2]", "training.iterations 100 -> 200"]
    assert changes_of(old, {**old, "code": "b"}) == ["its code"]
    assert parameter_changes({repr("f" * 16)}, {repr("e" * 16)}) == ["its code"]
    assert parameter_changes({repr("videos " + "f" * 16)}, {repr("videos " + "e" * 16)}) == ["its videos changed"]
    assert parameter_changes({repr(["--weak", "a"])}, {repr([])}) == ["other parameters"]


LAYERS = "transfer/labelled/split_1/evolved/seed_0/linear.json"


@pytest.fixture
def changed(edited: Project) -> Project:
    """A finished run with another setting of the linear layers, which took three hours each, and all else a second."""
    config = copy.deepcopy(TINY)
    config["transfer"]["linear"] = {"inverse_regularisation": [0.1]}
    edited.configure(config)
    for path in edited.run.glob("benchmarks/**/*.tsv"):
        names, values = (line.split("\t") for line in path.read_text().splitlines())
        seconds = "10800.0" if "evaluate_linear" in path.parts else "1.0"
        path.write_text("\n".join("\t".join(line) for line in (names, [seconds, *values[1:]])))
    return edited


@pytest.mark.slow
def test_a_run_stops_says_why_and_goes_on_when_told(changed: Project) -> None:
    before = (changed.run / LAYERS).read_bytes()
    stopped = changed.snakemake(check=False)
    assert stopped.returncode == 2
    assert "error: 6.0 hours of finished work would be done again - allowed by redo_hours: 4" in stopped.stderr
    assert "-> [0.1]: evaluate_linear (2)" in stopped.stderr
    assert "snakemake --config redo_hours=7" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    assert (changed.run / LAYERS).read_bytes() == before
    changed.snakemake("--config", "redo_hours=7", "--", f"results/tiny/{LAYERS}")
    assert (changed.run / LAYERS).read_bytes() != before


@pytest.mark.slow
def test_what_was_asked_for_does_not_count_and_the_rest_does(changed: Project) -> None:
    kmeans = f"results/tiny/{LAYERS}".replace("linear", "kmeans")
    assert changed.snakemake("--forcerun", "evaluate_kmeans", check=False).returncode == 2
    changed.snakemake("--config", "redo_hours=0", "--forcerun", kmeans, "--", kmeans)
    changed.snakemake("--forcerun", "evaluate_linear", "--", f"results/tiny/{LAYERS}")


class Planned:
    """As Snakemake's graph: jobs by name, why they run, and what depends on them."""

    class Reason:
        def __init__(self, forced: bool, code_changed: bool) -> None:
            self.forced, self.code_changed = forced, code_changed
            self.params_changed = self.input_changed = self.software_stack_changed = False
            self.missing_output = self.incomplete_output = self.updated_input = ()

    def __init__(self, jobs: dict[str, str], depending: dict[str, list[str]]) -> None:
        self.jobs, self.depending = jobs, depending

    def needrun_jobs(self) -> list[str]:
        return list(self.jobs)

    def needrun(self, job: str) -> bool:
        return job in self.jobs

    def reason(self, job: str) -> Any:
        return self.Reason(self.jobs[job] == "forced", self.jobs[job] == "edited")


def test_what_a_change_makes_run_counts_whatever_else_was_asked_for() -> None:
    depending = {"kmeans": ["table"], "decode": ["train"], "train": ["table", "kept"]}
    jobs = {"kmeans": "forced", "decode": "edited", "train": "", "table": ""}
    assert _unasked(Planned(jobs, depending)) == {"decode", "train", "table"}
    assert _unasked(Planned({"kmeans": "forced", "table": ""}, depending)) == set()
    assert _unasked(Planned({"decode": "edited", "train": "forced"}, depending)) == {"decode"}


@pytest.mark.slow
def test_touching_is_no_work(changed: Project) -> None:
    changed.snakemake("--touch")
    assert changed.planned() == {}


@pytest.mark.slow
def test_changed_videos_are_named(edited: Project) -> None:
    for path in (edited.folder / "videos").iterdir():
        path.touch()
    stopped = edited.snakemake("--config", "redo_hours=0", check=False)
    assert stopped.returncode == 2
    assert "its videos changed: plan_clips" in stopped.stderr


ENDS_EARLY = """
import sys
sys.path.insert(0, {folder!r})
from redo_guard import check_nothing_is_left

rule all:
    input: "b"
rule a:
    output: "a"
    shell: "touch {{output}}"
rule b:
    input: "a"
    output: "b"
    shell: "touch {{output}}"

onstart:
    # Snakemake forgets that b is ready, as it does with groups of jobs beside checkpoints.
    ready = type(workflow.dag).ready_jobs.fget
    type(workflow.dag).ready_jobs = property(lambda dag: {{job for job in ready(dag) if job.rule.name == "a"}})
onsuccess:
    check_nothing_is_left(workflow.scheduler.remaining_jobs)
"""


def test_a_run_that_ended_early_is_no_success(tmp_path: Path) -> None:
    (tmp_path / "Snakefile").write_text(ENDS_EARLY.format(folder=str(ROOT / "workflow")))
    done = subprocess.run(
        [sys.executable, "-m", "snakemake", "--cores", "1", "--keep-going"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (tmp_path / "a").exists()
    assert done.returncode == 1, done.stderr
    assert "error: Snakemake ended with 2 jobs still to do: all (1), b (1); start it again" in done.stderr


def test_no_module_beside_the_standard_library_is_needed() -> None:
    """Every job on a cluster reads this."""
    code = f"import sys; sys.path.insert(0, {str(ROOT / 'workflow')!r}); import redo_guard, planned_code"
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True, cwd=Path("/"))
