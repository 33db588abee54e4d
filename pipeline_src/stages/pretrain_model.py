"""Train the networks of one lineup entry on the pool with the final schedule, and keep its RGB encoder."""

import argparse
import sys
from pathlib import Path

from pipeline_src.batches.pool_part import part_of_pool
from pipeline_src.errors import UserError
from pipeline_src.files import read_json
from pipeline_src.provenance import run_record
from pipeline_src.shards.index import Collection
from pipeline_src.shards.scratch import on_scratch
from pipeline_src.stages.command import add_machine, parser, run, settings_from
from pipeline_src.training.distributed import start, started_by_torchrun
from pipeline_src.training.loop import Diverged
from pipeline_src.training.pretrain import PretrainSettings, pretrain

PACKAGES = ("torch", "torchvision", "numpy", "h5py", "safetensors")


class StageSettings(PretrainSettings):
    """This stage's settings."""

    code: str


def main() -> None:
    """Parse, load, train, write."""
    arguments = parser(__doc__)
    add_machine(arguments)
    arguments.add_argument("--pool", type=Path, required=True, help="index.json of the pool")
    arguments.add_argument("--weights", type=Path, required=True, help="weights.json of the lineup entry")
    arguments.add_argument("--scales", type=Path, required=True, help="scales.json")
    arguments.add_argument("--seed", type=int, required=True, help="seed of the training")
    arguments.add_argument("--encoder", type=Path, required=True, help="encoder.safetensors to write")
    arguments.add_argument("--config", type=Path, required=True, help="config.json to write")
    arguments.add_argument("--metrics", type=Path, required=True, help="metrics.jsonl to write")
    arguments.add_argument("--split", type=int, help="train on the training part of this split only")
    arguments.add_argument("--pool-fraction", type=float, default=1.0, help="train on this part of the pool only")
    given = arguments.parse_args()
    settings = settings_from(given.settings, StageSettings, given.machine)
    if settings.training.processes > 1 and not started_by_torchrun():
        sys.exit(start("pipeline_src.stages.pretrain_model", sys.argv[1:], settings.training.processes))
    with on_scratch(Collection.open(given.pool), settings.training.scratch) as pool:
        train(given, settings, pool)


def train(given: argparse.Namespace, settings: StageSettings, pool: Collection) -> None:
    """Train on the pool's clips, or on a part of them, and write."""
    rows = None
    if given.split is not None:
        rows = (pool.clips[f"split_{given.split}"] == "train").to_numpy().nonzero()[0]
    elif given.pool_fraction < 1:
        rows = part_of_pool(pool.clips, given.pool_fraction, given.seed)
    weights = read_json(given.weights)
    scales = {term: entry["scale"] for term, entry in read_json(given.scales)["terms"].items()}
    record = run_record({"training": settings.for_result(), "seed": given.seed, "weights": weights}, PACKAGES)
    try:
        pretrain(
            settings,
            pool,
            weights,
            scales,
            given.seed,
            encoder_path=given.encoder,
            metrics_path=given.metrics,
            config_path=given.config,
            provenance=record,
            rows=rows,
        )
    except Diverged as error:
        raise UserError(
            f"final.learning_rate: {settings.training.learning_rate:g} - {error}; try a lower one"
        ) from error


if __name__ == "__main__":
    run(main)
