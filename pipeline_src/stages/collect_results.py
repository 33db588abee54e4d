"""Collect all transfer results of a run into one table."""

from pipeline_src.files import read_json, whole_file
from pipeline_src.settings.base import Settings
from pipeline_src.settings.transfer import LineupEntry
from pipeline_src.stages.command import parser, run, settings_from
from pipeline_src.transfer.results import collect


class StageSettings(Settings):
    """What the table depends on: names, kinds and order of its rows."""

    lineup: tuple[LineupEntry, ...]


def main() -> None:
    """Parse, collect, write."""
    arguments = parser(__doc__)
    arguments.add_argument("--inputs", nargs="*", default=[], help="JSON files of results and baselines")
    arguments.add_argument("--out", required=True, help="CSV to write")
    given = arguments.parse_args()
    settings = settings_from(given.settings, StageSettings)
    table = collect([(path, read_json(path)) for path in given.inputs], settings.lineup)
    with whole_file(given.out) as part:
        table.to_csv(part, index=False, lineterminator="\n")


if __name__ == "__main__":
    run(main)
