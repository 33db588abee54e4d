"""Evaluate an encoder by fine-tuning it on one split of a labelled collection."""

from pathlib import Path

from pydantic import Field

from pipeline_src.files import write_json
from pipeline_src.networks.encoder_file import load_encoder
from pipeline_src.settings.base import Settings
from pipeline_src.settings.transfer import FinetuneSettings
from pipeline_src.shards.index import Collection
from pipeline_src.stages.command import add_evaluation, add_machine, parser, run, settings_from
from pipeline_src.training.device import prepare_device
from pipeline_src.transfer.fewer_labels import ALL, with_fewer_labels
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
    add_machine(arguments)
    add_evaluation(arguments)
    arguments.add_argument("--encoder", type=Path, required=True, help="encoder.safetensors")
    arguments.add_argument("--labels", default=ALL, help="part of the training labels, such as 10pct or 5shot")
    given = arguments.parse_args()
    settings = settings_from(given.settings, StageSettings, given.machine)
    device = prepare_device(settings.finetune.device, settings.torch_threads)
    collection = Collection.open(given.clips_index)
    encoder, config = load_encoder(given.encoder)
    clips = split_clips(collection, given.split)
    data = labelled_vectors(collection, given.split, clips, clips.index.to_numpy()[:, None])
    data = with_fewer_labels(data, given.labels, given.seed)
    prediction = predict_by_finetuning(
        encoder, config, collection, data, clips, settings.finetune, settings.windows, given.seed, device
    )
    reason = "" if prediction else "the loss or a prediction was not finite; try lower transfer.finetune.learning_rates"
    found = result(data, entry=given.entry, seed=given.seed, method="finetune", prediction=prediction, reason=reason)
    write_json(given.out, {**found, "labels": given.labels})


if __name__ == "__main__":
    run(main)
