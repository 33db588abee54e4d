"""Train the networks of one lineup entry on the pool with the final schedule, and keep its RGB encoder."""

from pathlib import Path

from pipeline_src.errors import UserError
from pipeline_src.files import read_json, write_json
from pipeline_src.networks.encoder_file import read_config
from pipeline_src.provenance import run_record
from pipeline_src.shards.index import Collection
from pipeline_src.stages.command import parser, run, settings_from
from pipeline_src.training.loop import Diverged
from pipeline_src.training.pretrain import PretrainSettings, pretrain

PACKAGES = ("torch", "torchvision", "numpy", "h5py", "safetensors")


class StageSettings(PretrainSettings):
    """This stage's settings."""

    code: str


def main() -> None:
    """Parse, load, train, write."""
    arguments = parser(__doc__)
    arguments.add_argument("--pool", type=Path, required=True, help="index.json of the pool")
    arguments.add_argument("--weights", type=Path, required=True, help="weights.json of the lineup entry")
    arguments.add_argument("--scales", type=Path, required=True, help="scales.json")
    arguments.add_argument("--seed", type=int, required=True, help="seed of the training")
    arguments.add_argument("--encoder", type=Path, required=True, help="encoder.safetensors to write")
    arguments.add_argument("--config", type=Path, required=True, help="config.json to write")
    arguments.add_argument("--metrics", type=Path, required=True, help="metrics.jsonl to write")
    given = arguments.parse_args()
    settings = settings_from(given.settings, StageSettings)
    weights = read_json(given.weights)
    scales = {term: entry["scale"] for term, entry in read_json(given.scales)["terms"].items()}
    record = run_record(
        {"training": settings.model_dump(mode="json"), "seed": given.seed, "weights": weights}, PACKAGES
    )
    try:
        pretrain(
            settings,
            Collection.open(given.pool),
            weights,
            scales,
            given.seed,
            encoder_path=given.encoder,
            metrics_path=given.metrics,
            provenance=record,
            accept_divergence=False,
        )
    except Diverged as error:
        raise UserError(
            f"final.learning_rate: {settings.training.learning_rate:g} - {error}; try a lower one"
        ) from error
    write_json(given.config, read_config(given.encoder).model_dump(mode="json"))


if __name__ == "__main__":
    run(main)
