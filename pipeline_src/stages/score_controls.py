"""Fitness of what nobody trained: an untrained network, raw pixels, constant and random vectors."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from pipeline_src.embedding.embed import embed_clips
from pipeline_src.files import write_json
from pipeline_src.fitness.controls import control_features
from pipeline_src.fitness.score import score
from pipeline_src.fitness.subsets import pool_rows, weak_rows
from pipeline_src.networks.encoder_file import load_encoder
from pipeline_src.settings.search import FitnessSettings
from pipeline_src.shards.index import Collection
from pipeline_src.stages.command import parser, run, settings_from
from pipeline_src.training.device import prepare_device
from pipeline_src.training.pretrain import PretrainSettings, pretrain
from pipeline_src.transfer.baselines import pixel_features


class StageSettings(PretrainSettings):
    """This stage's settings."""

    fitness: FitnessSettings
    seed: int


def main() -> None:
    """Parse, load, score, write."""
    arguments = parser(__doc__)
    arguments.add_argument("--pool", type=Path, required=True, help="index.json of the pool")
    arguments.add_argument("--weak", type=Path, help="index.json of the labelled collection of the weak fitness")
    arguments.add_argument("--out", type=Path, required=True, help="controls.json to write")
    given = arguments.parse_args()
    settings = settings_from(given.settings, StageSettings)
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
    write_json(given.out, {"controls": controls})


def _features(
    collection: Collection, rows: np.ndarray, settings: StageSettings, pool: Collection
) -> dict[str, np.ndarray]:
    """Vectors of each control for some clips of a collection, (clips, D)."""
    untrained = _untrained(collection, rows, settings, pool)
    return {
        "untrained": untrained,
        "raw_pixels": pixel_features(collection, collection.clips.iloc[rows].reset_index(drop=True)),
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
            accept_divergence=False,
        )
        encoder, config = load_encoder(path)
    return embed_clips(encoder, config, collection, rows, settings.fitness.embed, device)


if __name__ == "__main__":
    run(main)
