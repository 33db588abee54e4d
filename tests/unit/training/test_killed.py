"""A training that is killed without warning ends as if it had not been."""

import json
import random
import subprocess
import time
from pathlib import Path

import pytest

from pipeline_src.settings import catalogue
from pipeline_src.shards.index import Collection
from tests.unit.training.stage_run import pretrain_model, wait_for_checkpoint

KILLS = 3
SEARCHED = [term for term, family in catalogue.terms().items() if not catalogue.reads_labels(family)]


# 40 batches of 4 are 20 passes over 8 clips: queues, momentum encoders and the middle of an epoch.
@pytest.mark.parametrize(
    ("terms", "training"),
    [(None, {"iterations": 40}), (SEARCHED, {"iterations": 8, "accumulate": 2, "workers": 1})],
    ids=["few", "all"],
)
def test_killed_at_random_steps_training_ends_with_the_bytes_of_an_undisturbed_one(
    long_pool: Collection, tmp_path: Path, terms: list[str] | None, training: dict[str, object]
) -> None:
    index = long_pool.folder / "index.json"

    def train(folder: Path) -> subprocess.Popen[str]:
        # Saving after every step makes steps long enough to be killed in.
        return pretrain_model(folder, index, terms, checkpoint_every_s=1e-6, **training)

    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert train(whole).wait(timeout=200) == 0
    chance, resumed, killed = random.Random(1), 0, 0
    for _ in range(KILLS):
        started = train(broken)
        wait_for_checkpoint(broken, started)
        time.sleep(chance.uniform(0, 0.3))
        started.kill()
        told = started.communicate(timeout=60)[1]
        killed += started.returncode != 0
        resumed += "resuming at iteration" in told
        # What it came to is there to be looked at.
        assert json.loads((broken / "running.jsonl").read_text().splitlines()[0])["iteration"] == 1
    last = train(broken)
    told = last.communicate(timeout=200)[1]
    assert last.returncode == 0, told
    assert killed >= 2
    assert resumed >= 1
    for name in ("encoder.safetensors", "metrics.jsonl"):
        assert (broken / name).read_bytes() == (whole / name).read_bytes(), name
    assert not (broken / "resume.pt").exists()
    assert not (broken / "running.jsonl").exists()
