"""Embed every clip of a labelled collection with a trained encoder."""

from pathlib import Path

import numpy as np

from pipeline_src.embedding.embed import embed_clips, save_embeddings
from pipeline_src.networks.encoder_file import load_encoder
from pipeline_src.settings.base import Settings
from pipeline_src.settings.embedding import EmbedSettings
from pipeline_src.shards.index import Collection
from pipeline_src.stages.command import add_machine, parser, run, settings_from
from pipeline_src.training.device import prepare_device


class StageSettings(Settings):
    """This stage's settings."""

    embed: EmbedSettings
    torch_threads: int


def main() -> None:
    """Parse, load, embed, write."""
    arguments = parser(__doc__)
    add_machine(arguments)
    arguments.add_argument("--index", type=Path, required=True, help="index.json of the collection")
    arguments.add_argument("--encoder", type=Path, required=True, help="encoder.safetensors")
    arguments.add_argument("--out", type=Path, required=True, help="embeddings to write (.npz)")
    given = arguments.parse_args()
    settings = settings_from(given.settings, StageSettings, given.machine)
    device = prepare_device(settings.embed.device, settings.torch_threads)
    collection = Collection.open(given.index)
    encoder, config = load_encoder(given.encoder)
    rows = np.arange(len(collection.clips))
    embeddings = embed_clips(encoder, config, collection, rows, settings.embed, device)
    save_embeddings(given.out, collection.clips["clip_id"].tolist(), embeddings)


if __name__ == "__main__":
    run(main)
