"""What an encoder is worth to the search: clips embedded, and their fitness."""

from typing import Any

import torch

from pipeline_src.embedding.embed import embed_clips
from pipeline_src.fitness.score import score
from pipeline_src.fitness.subsets import pool_rows, weak_rows
from pipeline_src.networks.encoder import Encoder
from pipeline_src.networks.encoder_file import EncoderConfig
from pipeline_src.settings.search import FitnessSettings
from pipeline_src.shards.index import Collection


def judge(
    encoder: Encoder,
    config: EncoderConfig,
    pool: Collection,
    weak: Collection | None,
    fitness: FitnessSettings,
    seed: int,
    device: torch.device,
) -> dict[str, Any]:
    """The content of fitness.json: an encoder judged without test labels.

    Args:
        encoder, config: as trained.
        pool: whose clips are embedded.
        weak: the labelled collection of the weak fitness, where there is one.
        fitness: how it is measured.
        seed: which clips, and which halves of them.
        device: to embed on.
    """
    embeddings = embed_clips(encoder, config, pool, pool_rows(pool, fitness.clips, seed), fitness.embed, device)
    if weak is None or fitness.weak is None:
        return score(embeddings, fitness, seed)
    rows = weak_rows(weak, fitness.weak.split)
    weak_embeddings = embed_clips(encoder, config, weak, rows, fitness.embed, device)
    return score(embeddings, fitness, seed, weak_embeddings, weak.clips["label"].to_numpy()[rows])
