"""Rows whose networks come from elsewhere or saw less of the pool, and fine-tuning from fewer labels."""

import copy
import json
import shutil

import numpy as np
import pytest

from tests.tiny_run import TINY, Project

pytestmark = pytest.mark.slow


def test_they_are_evaluated_as_all_others(edited: Project) -> None:
    config = copy.deepcopy(TINY)
    given = edited.folder / "given"
    config["lineup"] += [
        {"name": "copy", "kind": "pretrained", "weights": "given/encoder.safetensors"},
        {"name": "half", "kind": "uniform", "pool_fraction": 0.5, "pool_fixed": "epochs"},
    ]
    config["transfer"]["fewer_labels"] = {"finetune": ["50pct"]}
    edited.configure(config)
    split = edited.run.relative_to(edited.folder) / "transfer/labelled/split_1"
    targets = [f"{split}/copy/seed_0/linear.json", f"{split}/half/seed_0/finetune_50pct.json"]
    refused = edited.snakemake("-n", check=False)
    assert "lineup.copy.weights: 'given/encoder.safetensors' - allowed: a file that exists" in refused.stderr
    given.mkdir()
    shutil.copy(edited.run / "models/scratch/seed_0/encoder.safetensors", given)
    edited.snakemake(*targets)
    ours, theirs = (np.load(edited.run / f"embeddings/{name}/seed_0/labelled.npz") for name in ("copy", "scratch"))
    np.testing.assert_array_equal(ours["embeddings"], theirs["embeddings"])
    lines = (edited.run / "models/half/seed_0/metrics.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["iterations"] == round(TINY["final"]["iterations"] / 2)
    tuned = json.loads((edited.folder / targets[1]).read_text())
    whole = json.loads((edited.run / "transfer/labelled/split_1/scratch/seed_0/finetune.json").read_text())
    assert tuned["labels"] == "50pct"
    assert 0.3 * whole["train_clips"] < tuned["train_clips"] < 0.7 * whole["train_clips"]
