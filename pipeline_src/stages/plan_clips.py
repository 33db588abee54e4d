"""Plan the clips of a collection: which pieces of which videos, in which shard."""

from pathlib import Path

from pipeline_src.clips.plan import plan_collection
from pipeline_src.settings.base import Settings
from pipeline_src.settings.clips import CollectionSettings
from pipeline_src.stages.command import add_machine, parser, run, settings_from


class StageSettings(Settings):
    """What planning depends on."""

    collection: CollectionSettings
    seed: int = 0
    redo_hours: float = 4.0


def main() -> None:
    """Write plan/{shard}.csv and plan/shards.json of a collection."""
    arguments = parser(__doc__)
    add_machine(arguments)
    arguments.add_argument("--collection", required=True, help="name of the collection")
    arguments.add_argument("--folder", required=True, type=Path, help="data/{collection}")
    arguments.add_argument("--out", required=True, type=Path, help="plan/shards.json in that folder")
    given = arguments.parse_args()
    settings = settings_from(given.settings, StageSettings, given.machine)
    plan_collection(settings.collection, given.collection, settings.seed, given.folder, given.out, settings.redo_hours)


if __name__ == "__main__":
    run(main)
