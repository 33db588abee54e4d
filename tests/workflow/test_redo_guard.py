"""The guard: work worth hours is not done again without a word."""

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_run import ROOT, TINY, Project
from workflow.redo_guard import Redone, parameter_changes, told


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
    assert parameter_changes({repr(["--weak", "a"])}, {repr([])}) == ["other parameters"]


@pytest.mark.slow
def test_a_run_stops_says_why_and_goes_on_when_told(edited: Project) -> None:
    config = copy.deepcopy(TINY)
    config["redo_hours"] = 0
    config["transfer"]["linear"] = {"inverse_regularisation": [0.1]}
    edited.configure(config)
    layer = edited.run / "transfer/labelled/split_1/evolved/seed_0/linear.json"
    before = layer.read_bytes()
    stopped = edited.snakemake(check=False)
    assert stopped.returncode == 2
    lines = [line for line in stopped.stderr.splitlines() if "linear.inverse_regularisation" in line]
    assert lines
    assert "-> [0.1]: evaluate_linear (3)" in lines[0] or "evaluate_linear (3)" in "".join(lines)
    assert "snakemake --config redo_hours=" in stopped.stderr
    assert "Traceback" not in stopped.stderr
    assert layer.read_bytes() == before
    edited.snakemake("--config", "redo_hours=1")
    assert layer.read_bytes() != before
    assert edited.planned() == {}


def test_no_module_beside_the_standard_library_is_needed() -> None:
    """Every job on a cluster reads this."""
    code = f"import sys; sys.path.insert(0, {str(ROOT / 'workflow')!r}); import redo_guard, planned_code"
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True, cwd=Path("/"))
