"""Rows of the results table for methods that the search does not weight, and for the upper bound."""

import copy
import json
from pathlib import Path

import pytest
from safetensors.torch import load_file

from tests.tiny_run import TINY, Project

pytestmark = pytest.mark.slow

HEADS = {"queue": 16, "hidden": 8, "size": 4}
ENTRIES = [
    {"name": "moco", "kind": "single", "term": "rgb.moco", "settings": HEADS},
    {"name": "bound", "kind": "upper_bound", "term": "rgb.ubernce", "settings": HEADS, "collection": "labelled"},
]


def encoder(project: Project, entry: str) -> Path:
    return project.run / "models" / entry / "seed_0" / "encoder.safetensors"


def test_they_are_trained_and_nothing_of_the_search_runs_again(edited: Project) -> None:
    config = copy.deepcopy(TINY)
    config["lineup"] += ENTRIES
    edited.configure(config)
    targets = [str(encoder(edited, entry["name"]).relative_to(edited.folder)) for entry in ENTRIES]  # type: ignore[arg-type]
    assert edited.planned(*targets) == {"choose_weights": 2, "pretrain_model": 2}
    edited.snakemake(*targets)
    found = [json.loads((encoder(edited, e).parent.parent / "weights.json").read_text()) for e in ("moco", "bound")]
    assert found == [{"rgb.moco": 1.0}, {"rgb.ubernce": 1.0}]
    start = load_file(encoder(edited, "scratch"))
    for entry in ("moco", "bound"):
        trained = load_file(encoder(edited, entry))
        assert any((trained[name] != start[name]).any() for name in start)
        lines = (encoder(edited, entry).parent / "metrics.jsonl").read_text().splitlines()
        assert json.loads(lines[-1])["status"] == "ok"
    # Another setting of an entry's own term trains that entry alone.
    config["lineup"][-2]["settings"] = {**HEADS, "temperature": 0.2}
    edited.configure(config)
    assert edited.planned(*targets) == {"choose_weights": 1, "pretrain_model": 1}
