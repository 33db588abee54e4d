"""Evaluate baselines without a network, frame count and raw pixels, on one split of a labelled collection."""

from pydantic import Field

from pipeline_src.files import write_json
from pipeline_src.settings.base import Settings
from pipeline_src.settings.transfer import KmeansSettings, LinearSettings, RetrievalSettings
from pipeline_src.shards.index import Collection
from pipeline_src.stages.command import parser, run, settings_from
from pipeline_src.transfer.baselines import baselines


class StageSettings(Settings):
    """What the baselines depend on."""

    kmeans: KmeansSettings
    linear: LinearSettings
    retrieval: RetrievalSettings
    seed: int = Field(ge=0)


def main() -> None:
    """Parse, evaluate, write."""
    arguments = parser(__doc__)
    arguments.add_argument("--clips-index", required=True, help="index.json of the labelled collection")
    arguments.add_argument("--split", type=int, required=True, help="number of the split, from 1")
    arguments.add_argument("--out", required=True, help="JSON to write")
    given = arguments.parse_args()
    settings = settings_from(given.settings, StageSettings)
    collection = Collection.open(given.clips_index)
    found = baselines(collection, given.split, settings.kmeans, settings.linear, settings.retrieval, settings.seed)
    write_json(given.out, {"collection": collection.folder.name, "split": given.split, "results": found})


if __name__ == "__main__":
    run(main)
