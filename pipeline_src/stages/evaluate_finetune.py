"""Evaluate an encoder by fine-tuning it on one split of a labelled collection."""

from pathlib import Path

from pydantic import Field

from pipeline_src.files import write_json
from pipeline_src.networks.encoder_file import load_encoder
from pipeline_src.settings.base import Settings
from pipeline_src.settings.transfer import FinetuneSettings
from pipeline_src.shards.index import Collection
from pipeline_src.stages.command import parser, run, settings_from
from pipeline_src.training.device import prepare_device
from pipeline_src.transfer.finetune import predict_by_finetuning
from pipeline_src.transfer.split import labelled_vectors, result, split_clips


class StageSettings(Settings):
    """What the evaluation depends on."""

    finetune: FinetuneSettings
    windows: int = Field(ge=1)
    torch_threads: int


def main() -> None:
    """Parse, load, fine-tune, write."""
    arguments = parser(__doc__)
    arguments.add_argument("--clips-index", type=Path, required=True, help="index.json of the labelled collection")
    arguments.add_argument("--encoder", type=Path, required=True, help="encoder.safetensors")
    arguments.add_argument("--split", type=int, required=True, help="number of the split, from 1")
    arguments.add_argument("--entry", required=True, help="name of the lineup entry")
    arguments.add_argument("--seed", type=int, required=True, help="the model's seed, also of the fine-tuning")
    arguments.add_argument("--out", type=Path, required=True, help="JSON to write")
    given = arguments.parse_args()
    settings = settings_from(given.settings, StageSettings)
    device = prepare_device(settings.finetune.device, settings.torch_threads)
    collection = Collection.open(given.clips_index)
    encoder, config = load_encoder(given.encoder)
    clips = split_clips(collection, given.split)
    data = labelled_vectors(collection, given.split, clips, clips.index.to_numpy()[:, None])
    prediction = predict_by_finetuning(
        encoder, config, collection, data, clips, settings.finetune, settings.windows, given.seed, device
    )
    reason = (
        "" if prediction else "the loss or a prediction was not finite; try a lower transfer.finetune.learning_rate"
    )
    found = result(data, entry=given.entry, seed=given.seed, method="finetune", prediction=prediction, reason=reason)
    write_json(given.out, found)


if __name__ == "__main__":
    run(main)
