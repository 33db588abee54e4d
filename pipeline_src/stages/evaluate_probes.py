"""Evaluate what a trained encoder tells about time, on clips of one split of a labelled collection."""

from pathlib import Path

import numpy as np

from pipeline_src.embedding.embed import TimedWindows, embed_windows, require_same_frames
from pipeline_src.files import write_json
from pipeline_src.networks.encoder_file import load_encoder
from pipeline_src.settings.base import Settings
from pipeline_src.settings.embedding import EmbedSettings
from pipeline_src.settings.transfer import LinearSettings, ProbeSettings
from pipeline_src.shards.index import Collection
from pipeline_src.stages.command import add_evaluation, add_machine, parser, run, settings_from
from pipeline_src.training.device import prepare_device
from pipeline_src.transfer.probes import evaluate_probe
from pipeline_src.transfer.split import labelled_vectors, rows_of, split_clips


class StageSettings(Settings):
    """What the probes depend on."""

    probes: ProbeSettings
    linear: LinearSettings
    embed: EmbedSettings
    torch_threads: int


def main() -> None:
    """Parse, embed, evaluate, write."""
    arguments = parser(__doc__)
    add_machine(arguments)
    add_evaluation(arguments)
    arguments.add_argument("--encoder", type=Path, required=True, help="encoder.safetensors")
    given = arguments.parse_args()
    settings = settings_from(given.settings, StageSettings, given.machine)
    device = prepare_device(settings.embed.device, settings.torch_threads)
    collection = Collection.open(given.clips_index)
    encoder, config = load_encoder(given.encoder)
    require_same_frames(config, collection)
    clips = split_clips(collection, given.split)
    if len(clips) > settings.probes.clips:
        # The same clips for every entry and seed.
        clips = clips.sample(settings.probes.clips, random_state=0).sort_index().reset_index(drop=True)
    rows = rows_of(collection, clips)

    def embed(numbers: np.ndarray, times: np.ndarray) -> np.ndarray:
        windows = TimedWindows(collection, config.window, rows[numbers], times)
        return embed_windows(encoder, config, windows, settings.embed.batch_size, device)

    split = labelled_vectors(collection, given.split, clips, np.zeros((len(clips), 1)))
    lengths, frames = clips["frames"].to_numpy(), config.window.frames
    base = {"collection": split.collection, "split": given.split, "entry": given.entry, "seed": given.seed}
    found = [
        {**base, **evaluate_probe(name, lengths, split, frames, embed, settings.linear, given.seed)}
        for name in settings.probes.names
    ]
    write_json(given.out, {"results": found})


if __name__ == "__main__":
    run(main)
