"""Train the networks of one individual of the search on the pool, with the proxy schedule."""

from pathlib import Path

from pipeline_src.files import read_json
from pipeline_src.shards.index import Collection
from pipeline_src.stages.command import parser, run, settings_from
from pipeline_src.training.pretrain import PretrainSettings, pretrain


class StageSettings(PretrainSettings):
    """This stage's settings. All individuals share the seed, so that they differ by their weights only."""

    seed: int
    code: str


def main() -> None:
    """Parse, load, train, write. A diverged individual is a result, not a failure."""
    arguments = parser(__doc__)
    arguments.add_argument("--pool", type=Path, required=True, help="index.json of the pool")
    arguments.add_argument("--weights", type=Path, required=True, help="weights.json of the individual")
    arguments.add_argument("--scales", type=Path, required=True, help="scales.json")
    arguments.add_argument("--encoder", type=Path, required=True, help="encoder.safetensors to write")
    arguments.add_argument("--metrics", type=Path, required=True, help="metrics.jsonl to write")
    given = arguments.parse_args()
    settings = settings_from(given.settings, StageSettings)
    scales = {term: entry["scale"] for term, entry in read_json(given.scales)["terms"].items()}
    pretrain(
        settings,
        Collection.open(given.pool),
        read_json(given.weights),
        scales,
        settings.seed,
        encoder_path=given.encoder,
        metrics_path=given.metrics,
        provenance={"code": settings.code},
        accept_divergence=True,
    )


if __name__ == "__main__":
    run(main)
