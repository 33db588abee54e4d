"""The stage that tries individuals: alone or together, in one stretch or in rungs, the same comes out."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from pipeline_src.errors import UserError
from pipeline_src.evolution.tables import population_table
from pipeline_src.evolution.trials import Trials, folder, merged, read_trials
from pipeline_src.files import write_json
from pipeline_src.fitness.judge import judge
from pipeline_src.networks.encoder_file import load_encoder
from pipeline_src.settings.search import FitnessSettings
from pipeline_src.shards.index import Collection
from pipeline_src.stages import try_weights

POPULATION = [
    {"rgb.reconstruct": 1.0, "rgb.moco": 0.5, "audio~rgb.embed": 0.0},
    {"rgb.reconstruct": 0.0, "rgb.moco": 1.0, "audio~rgb.embed": 0.3},
    {"rgb.reconstruct": 0.2, "rgb.moco": 0.0, "audio~rgb.embed": 0.9},
    {"rgb.reconstruct": 0.0, "rgb.moco": 0.0, "audio~rgb.embed": 0.0},
]
SETTINGS: dict[str, Any] = {
    "loss": {"terms": ["rgb.reconstruct", "rgb.moco", "audio~rgb.embed"], "tasks": {"moco": {"queue": 16, "size": 8}}},
    "network": {"video": "small_r3d", "width": 4, "decoder_width": 4},
    "window": {"frames": 5, "crop": 16, "future_frames": 2},
    "fit": "crop",
    "training": {"iterations": 6, "batch_size": 4},
    "fitness": {"zipf": {"clusters": 2, "max_noise": 9}, "clips": 8, "min_effective_rank": 1, "min_stability": 0},
    "torch_threads": 1,
    "seed": 3,
    "code": "x",
}
FITNESS = FitnessSettings.model_validate(SETTINGS["fitness"])


class Search:
    """A generation whose jobs are run here, one after the other."""

    def __init__(self, path: Path, pool: Collection, monkeypatch: pytest.MonkeyPatch, **trials: int) -> None:
        self.path, self.pool, self.monkeypatch = path, pool, monkeypatch
        self.settings = {**SETTINGS, "trials": trials}
        self.trials = Trials(len(POPULATION), **trials)
        self.weak: Path | None = None
        path.mkdir()
        population_table(POPULATION).to_csv(path / "population.csv", index=False)
        write_json(path / "scales.json", {"terms": {}})

    def job(self, rung: int, seed: int, job: int) -> None:
        arguments = ["--settings", json.dumps(self.settings), "--machine", '{"training": {"device": "cpu"}}']
        arguments += ["--pool", str(self.pool.folder / "index.json"), "--scales", str(self.path / "scales.json")]
        arguments += ["--generation", str(self.path), "--rung", str(rung), "--seed", str(seed), "--job", str(job)]
        arguments += ["--weak", str(self.weak)] if self.weak else []
        self.monkeypatch.setattr(sys, "argv", ["try_weights", *arguments])
        try_weights.main()

    def rung(self, rung: int) -> None:
        for seed in range(self.trials.seeds):
            for job in range(self.trials.jobs(rung)):
                self.job(rung, seed, job)

    def run(self) -> "Search":
        for rung in range(self.trials.rungs):
            self.rung(rung)
        return self

    def results(self, rung: int = 0, seed: int = 0) -> dict[int, Any]:
        paths = [self.path / name / "fitness.json" for name in self.trials.folders(rung, seed)]
        return {one["individual"]: one for path in paths for one in json.loads(path.read_text())["individuals"]}

    def lines(self, individual: int, rung: int = 0) -> list[dict[str, Any]]:
        files = [self.path / name / "metrics.jsonl" for name in self.trials.folders(rung, 0)]
        lines = [json.loads(line) for file in files for line in file.read_text().splitlines()]
        return [line for line in lines if line["individual"] == individual]


@pytest.fixture
def alone(long_pool: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Search:
    return Search(tmp_path / "alone", long_pool, monkeypatch).run()


def test_individuals_that_share_a_job_have_the_results_of_those_that_do_not(
    alone: Search, long_pool: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = Search(tmp_path / "together", long_pool, monkeypatch, share=3).run()
    assert together.results() == alone.results()
    for individual in range(4):
        assert together.lines(individual) == alone.lines(individual)
    assert [len(alone.lines(individual)) for individual in range(4)] == [7, 7, 7, 1]
    assert len({found["fitness"] for found in alone.results().values()}) == 4
    assert not list(tmp_path.rglob("resume.pt"))
    assert not list(tmp_path.rglob("states.pt"))


def test_the_winner_of_the_rungs_has_the_result_of_an_undivided_training(
    alone: Search, long_pool: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    halved = Search(tmp_path / "halved", long_pool, monkeypatch, rungs=2, eta=3, share=2).run()
    first = read_trials(halved.path, halved.trials, 0)
    (winner,) = halved.results(rung=1)
    assert winner == first[0].individual
    assert halved.results(rung=1)[winner] == alone.results()[winner]
    assert halved.lines(winner, rung=1) == alone.lines(winner)
    others = merged([first, read_trials(halved.path, halved.trials, 1)])[1:]
    assert [trial.rung for trial in others] == [0, 0, 0]
    assert [line["iterations"] for line in halved.lines(winner) if "event" in line] == [2 if winner != 3 else 0]


def test_encoders_of_those_that_were_trained_to_the_end_are_kept_where_wanted(
    alone: Search, long_pool: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    halved = Search(tmp_path / "halved", long_pool, monkeypatch, rungs=2, eta=2, share=2)
    halved.settings["keep_encoders"] = True
    found = sorted(path.relative_to(halved.path) for path in halved.run().path.rglob("*.safetensors"))
    last = halved.results(rung=1)
    assert [str(path) for path in found] == [
        f"rung_1/seed_0/job_000/encoders/ind_{number:03d}.safetensors" for number in sorted(last)
    ]
    assert not list(alone.path.rglob("*.safetensors"))
    for path, number in zip(found, sorted(last), strict=True):
        encoder, config = load_encoder(halved.path / path)
        judged = judge(encoder, config, long_pool, None, FITNESS, halved.settings["seed"], torch.device("cpu"))
        assert judged["fitness"] == alone.results()[number]["fitness"]


def test_a_pool_too_small_for_the_fitness_is_told_before_the_training(
    long_pool: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = Search(tmp_path / "small", long_pool, monkeypatch)
    search.settings["fitness"] = {"zipf": {"clusters": 5, "max_noise": 9}, "clips": 8}
    monkeypatch.setattr(try_weights, "train_population", None)
    with pytest.raises(UserError, match=r"fitness.zipf.clusters: 5 - allowed: at most 4, half of the 8 clips"):
        search.job(0, 0, 0)


@pytest.mark.parametrize(
    ("part", "told"),
    [("test", "fitness.weak.split: 1 - .* has no usable training clips"), ("train", "fewer than two classes")],
)
def test_labels_that_no_fitness_can_use_are_told_before_the_training(
    part: str, told: str, long_pool: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = Search(tmp_path / "search", long_pool, monkeypatch)
    search.settings["fitness"] = {**SETTINGS["fitness"], "weak": {"collection": "labelled"}}
    labelled = tmp_path / "labelled"
    shutil.copytree(long_pool.folder, labelled)
    clips = pd.read_csv(labelled / "clips.csv", keep_default_na=False).assign(label="wave", split_1=part)
    clips.to_csv(labelled / "clips.csv", index=False)
    search.weak = labelled / "index.json"
    monkeypatch.setattr(try_weights, "train_population", None)
    with pytest.raises(UserError, match=told):
        search.job(0, 0, 0)


def test_each_seed_is_a_training_of_its_own(
    alone: Search, long_pool: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    twice = Search(tmp_path / "twice", long_pool, monkeypatch, seeds=2, share=4).run()
    assert twice.results(seed=0) == alone.results()
    second = twice.results(seed=1)
    found = {trial.individual: trial for trial in read_trials(twice.path, twice.trials, 0)}
    for number, first in alone.results().items():
        assert second[number]["fitness"] != first["fitness"]
        assert found[number].fitness == pytest.approx((first["fitness"] + second[number]["fitness"]) / 2, abs=1e-6)


def test_a_diverged_individual_is_a_result_and_is_not_trained_again(
    long_pool: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = Search(tmp_path / "search", long_pool, monkeypatch, rungs=2, eta=2, share=4)
    hot = {"optimiser": "sgd", "clip_gradient": 1e30, "learning_rate": 100.0, "warmup": 0, "iterations": 60}
    search.settings = {**search.settings, "training": {**SETTINGS["training"], **hot}}
    same = [POPULATION[0]] * 3
    population_table([*same, POPULATION[3]]).to_csv(search.path / "population.csv", index=False)
    search.run()
    diverged = [number for number, found in search.results().items() if found["status"] == "diverged"]
    assert diverged == [0, 1, 2]
    assert all("not finite at iteration" in search.results()[number]["reason"] for number in diverged)
    # Two go on: the one without terms, and the first of those that failed, which fails as it did.
    last = search.results(rung=1)
    assert set(last) == {3, 0}
    assert last[0] == search.results()[0]
    assert last[3]["fitness"] is not None


def test_a_state_that_cannot_be_read_is_told(
    long_pool: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = Search(tmp_path / "search", long_pool, monkeypatch, rungs=2, share=4)
    search.rung(0)
    (search.path / folder(0, 0, 0) / "states.pt").write_bytes(b"half a file")
    with pytest.raises(UserError, match=r"rung_0/seed_0/job_000/states.pt: cannot be read; delete"):
        search.rung(1)
