"""Collect all transfer results of a run into one table."""

from pathlib import Path

from pipeline_src.files import read_json, whole_file
from pipeline_src.settings.base import Settings
from pipeline_src.settings.transfer import LineupEntry
from pipeline_src.stages.command import parser, run, settings_from
from pipeline_src.transfer.results import METHODS, collect


class StageSettings(Settings):
    """What the table depends on: which results there are, and kinds and order of its rows."""

    lineup: tuple[LineupEntry, ...]
    seeds: tuple[int, ...]
    splits: tuple[tuple[str, int], ...]


def main() -> None:
    """Parse, collect, write."""
    arguments = parser(__doc__)
    arguments.add_argument("--folder", type=Path, required=True, help="results/{run}/transfer")
    arguments.add_argument("--out", required=True, help="CSV to write")
    given = arguments.parse_args()
    settings = settings_from(given.settings, StageSettings)
    names = []
    for collection, split in settings.splits:
        folder = given.folder / collection / f"split_{split}"
        names.append(folder / "baselines.json")
        for entry in settings.lineup:
            for seed in settings.seeds:
                names.extend(folder / entry.name / f"seed_{seed}" / f"{method}.json" for method in METHODS)
    table = collect([(str(name), read_json(name)) for name in names], settings.lineup)
    with whole_file(given.out) as part:
        table.to_csv(part, index=False, lineterminator="\n")


if __name__ == "__main__":
    run(main)
