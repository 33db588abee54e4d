"""Put all individuals of a search into one table: generation, rank, fitness, time and weights."""

from pathlib import Path

from pipeline_src.evolution.history import read_history
from pipeline_src.evolution.tables import write_individuals
from pipeline_src.settings.base import Settings
from pipeline_src.stages.command import parser, run, settings_from


class StageSettings(Settings):
    """The table follows from the run's files alone."""


def main() -> None:
    """Parse, read, write."""
    arguments = parser(__doc__)
    arguments.add_argument("--run", type=Path, required=True, help="the run's folder")
    arguments.add_argument("--generations", type=int, required=True, help="of the search")
    arguments.add_argument("--csv", type=Path, required=True, help="individuals.csv to write")
    arguments.add_argument("--parquet", type=Path, required=True, help="individuals.parquet to write")
    given = arguments.parse_args()
    settings_from(given.settings, StageSettings)
    history = read_history(given.run, given.generations)
    write_individuals(history, given.csv)
    write_individuals(history, given.parquet)


if __name__ == "__main__":
    run(main)
