"""Write the weights of the controls of a search as a population: population.csv."""

from pydantic import Field

from pipeline_src.evolution.controls import control_weights
from pipeline_src.evolution.tables import population_table
from pipeline_src.files import whole_file
from pipeline_src.settings.base import Settings
from pipeline_src.stages.command import parser, run, settings_from


class StageSettings(Settings):
    """What the controls depend on."""

    terms: tuple[str, ...] = Field(min_length=1)
    alone: tuple[str, ...]


def main() -> None:
    """Parse, write."""
    arguments = parser(__doc__)
    arguments.add_argument("--population", required=True, help="population.csv to write")
    given = arguments.parse_args()
    settings = settings_from(given.settings, StageSettings)
    weights = control_weights(settings.terms, settings.alone)
    with whole_file(given.population) as part:
        population_table(list(weights.values())).to_csv(part, index=False, lineterminator="\n")


if __name__ == "__main__":
    run(main)
