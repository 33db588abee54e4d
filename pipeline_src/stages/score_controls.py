"""Fitness of what nobody searched for: uniform weights, each term alone, an untrained network, pixels, no content."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from pipeline_src.embedding.embed import embed_clips
from pipeline_src.evolution.controls import control_weights
from pipeline_src.evolution.trials import Trials, read_trials
from pipeline_src.files import write_json
from pipeline_src.fitness.controls import control_features, measured_features
from pipeline_src.fitness.score import score
from pipeline_src.fitness.subsets import pool_rows, weak_rows
from pipeline_src.networks.encoder_file import load_encoder
from pipeline_src.settings.search import FitnessSettings, TrialSettings
from pipeline_src.shards.index import Collection
from pipeline_src.stages.command import add_machine, parser, run, settings_from
from pipeline_src.training.device import prepare_device
from pipeline_src.training.pretrain import PretrainSettings, pretrain


class StageSettings(PretrainSettings):
    """This stage's settings."""

    fitness: FitnessSettings
    trials: TrialSettings
    alone: tuple[str, ...]
    seed: int


def main() -> None:
    """Parse, load, score, write."""
    arguments = parser(__doc__)
    add_machine(arguments)
    arguments.add_argument("--pool", type=Path, required=True, help="index.json of the pool")
    arguments.add_argument("--weak", type=Path, help="index.json of the labelled collection of the weak fitness")
    arguments.add_argument("--tried", type=Path, required=True, help="folder of the trials of controls")
    arguments.add_argument("--out", type=Path, required=True, help="controls.json to write")
    given = arguments.parse_args()
    settings = settings_from(given.settings, StageSettings, given.machine)
    pool = Collection.open(given.pool)
    weak = Collection.open(given.weak) if given.weak else None
    features = {"pool": _features(pool, pool_rows(pool, settings.fitness.clips, settings.seed), settings, pool)}
    labels = None
    if weak is not None and settings.fitness.weak is not None:
        rows = weak_rows(weak, settings.fitness.weak.split)
        features["weak"] = _features(weak, rows, settings, pool)
        labels = weak.clips["label"].to_numpy()[rows]
    controls = {
        name: score(
            vectors, settings.fitness, settings.seed, features["weak"][name] if labels is not None else None, labels
        )
        for name, vectors in features["pool"].items()
    }
    write_json(given.out, {"controls": {**_tried(given.tried, settings), **controls}})


def _tried(folder: Path, settings: StageSettings) -> dict[str, dict[str, Any]]:
    """The results of the controls that are weights, by name; of several seeds their means, and the spread."""
    names = list(control_weights(settings.loss.terms, settings.alone))
    trials = read_trials(folder, Trials(len(names), **settings.trials.model_dump()), 0)
    found = {names[one.individual]: {**one.result, "fitness": one.fitness, "spread": one.spread} for one in trials}
    return {name: found[name] for name in names}


def _features(
    collection: Collection, rows: np.ndarray, settings: StageSettings, pool: Collection
) -> dict[str, np.ndarray]:
    """Vectors of each control for some clips of a collection, (clips, D)."""
    untrained = _untrained(collection, rows, settings, pool)
    return {
        "untrained": untrained,
        **measured_features(collection, rows),
        **control_features(len(rows), untrained.shape[1], settings.seed),
    }


def _untrained(collection: Collection, rows: np.ndarray, settings: StageSettings, pool: Collection) -> np.ndarray:
    device = prepare_device(settings.fitness.embed.device, settings.torch_threads)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "encoder.safetensors"
        nothing: dict[str, Any] = {}
        pretrain(
            settings,
            pool,
            nothing,
            nothing,
            settings.seed,
            encoder_path=path,
            metrics_path=Path(folder) / "metrics.jsonl",
            provenance=nothing,
        )
        encoder, config = load_encoder(path)
    return embed_clips(encoder, config, collection, rows, settings.fitness.embed, device)


if __name__ == "__main__":
    run(main)
