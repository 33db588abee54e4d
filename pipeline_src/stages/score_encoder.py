"""Judge an encoder without test labels: embed a sample of the pool and measure its fitness."""

from pathlib import Path
from typing import Any

import torch

from pipeline_src.embedding.embed import embed_clips
from pipeline_src.files import write_json
from pipeline_src.fitness.score import diverged, score
from pipeline_src.fitness.subsets import pool_rows, weak_rows
from pipeline_src.networks.encoder_file import load_encoder, read_config
from pipeline_src.settings.base import Settings
from pipeline_src.settings.search import FitnessSettings
from pipeline_src.shards.index import Collection
from pipeline_src.stages.command import parser, run, settings_from
from pipeline_src.training.device import prepare_device


class StageSettings(Settings):
    """This stage's settings."""

    fitness: FitnessSettings
    torch_threads: int
    seed: int


def main() -> None:
    """Parse, load, embed, score, write."""
    arguments = parser(__doc__)
    arguments.add_argument("--pool", type=Path, required=True, help="index.json of the pool")
    arguments.add_argument("--weak", type=Path, help="index.json of the labelled collection of the weak fitness")
    arguments.add_argument("--encoder", type=Path, required=True, help="encoder.safetensors")
    arguments.add_argument("--out", type=Path, required=True, help="fitness.json to write")
    given = arguments.parse_args()
    settings = settings_from(given.settings, StageSettings)
    config = read_config(given.encoder)
    if config.status == "diverged":
        write_json(given.out, diverged(config.reason, settings.fitness))
        return
    device = prepare_device(settings.fitness.embed.device, settings.torch_threads)
    pool = Collection.open(given.pool)
    weak = Collection.open(given.weak) if given.weak else None
    write_json(given.out, judge(given.encoder, pool, weak, settings, device))


def judge(
    encoder_path: Path, pool: Collection, weak: Collection | None, settings: StageSettings, device: torch.device
) -> dict[str, Any]:
    """The content of fitness.json."""
    encoder, config = load_encoder(encoder_path)
    fitness = settings.fitness
    rows = pool_rows(pool, fitness.clips, settings.seed)
    embeddings = embed_clips(encoder, config, pool, rows, fitness.embed, device)
    if weak is None or fitness.weak is None:
        return score(embeddings, fitness, settings.seed)
    rows = weak_rows(weak, fitness.weak.split)
    weak_embeddings = embed_clips(encoder, config, weak, rows, fitness.embed, device)
    return score(embeddings, fitness, settings.seed, weak_embeddings, weak.clips["label"].to_numpy()[rows])


if __name__ == "__main__":
    run(main)
