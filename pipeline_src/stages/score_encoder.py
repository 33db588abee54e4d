"""Judge an encoder without test labels: embed a sample of the pool and measure its fitness."""

from pathlib import Path

from pipeline_src.files import write_json
from pipeline_src.fitness.judge import judge
from pipeline_src.networks.encoder_file import load_encoder
from pipeline_src.settings.base import Settings
from pipeline_src.settings.search import FitnessSettings
from pipeline_src.shards.index import Collection
from pipeline_src.stages.command import add_machine, parser, run, settings_from
from pipeline_src.training.device import prepare_device


class StageSettings(Settings):
    """This stage's settings."""

    fitness: FitnessSettings
    torch_threads: int
    seed: int


def main() -> None:
    """Parse, load, embed, score, write."""
    arguments = parser(__doc__)
    add_machine(arguments)
    arguments.add_argument("--pool", type=Path, required=True, help="index.json of the pool")
    arguments.add_argument("--weak", type=Path, help="index.json of the labelled collection of the weak fitness")
    arguments.add_argument("--encoder", type=Path, required=True, help="encoder.safetensors")
    arguments.add_argument("--out", type=Path, required=True, help="fitness.json to write")
    given = arguments.parse_args()
    settings = settings_from(given.settings, StageSettings, given.machine)
    device = prepare_device(settings.fitness.embed.device, settings.torch_threads)
    pool = Collection.open(given.pool)
    weak = Collection.open(given.weak) if given.weak else None
    encoder, config = load_encoder(given.encoder)
    write_json(given.out, judge(encoder, config, pool, weak, settings.fitness, settings.seed, device))


if __name__ == "__main__":
    run(main)
