"""Check that the pool holds no test clip of a labelled collection, and count shared source videos."""

from pathlib import Path

from pipeline_src.clips.overlap import check_collections
from pipeline_src.files import write_json
from pipeline_src.settings.base import Settings
from pipeline_src.stages.command import parser, run, settings_from


class StageSettings(Settings):
    """This check has no settings."""


def main() -> None:
    """Write overlap.json, or end with the clips that are in both."""
    arguments = parser(__doc__)
    arguments.add_argument("--pool", required=True, type=Path, help="data/pool")
    arguments.add_argument(
        "--labelled", nargs="*", default=[], type=Path, help="data/{collection} of each labelled set"
    )
    arguments.add_argument("--out", required=True, type=Path, help="overlap.json to write")
    given = arguments.parse_args()
    settings_from(given.settings, StageSettings)
    write_json(given.out, check_collections(given.pool, given.labelled))


if __name__ == "__main__":
    run(main)
