"""Propose the weights of one generation: population.csv."""

from pydantic import Field

from pipeline_src.evolution.search import propose
from pipeline_src.evolution.start import first_individuals, space_of
from pipeline_src.evolution.tables import population_table
from pipeline_src.files import read_json, whole_file
from pipeline_src.settings.base import Settings
from pipeline_src.settings.search import StrategySettings
from pipeline_src.stages.command import parser, run, settings_from


class StageSettings(Settings):
    """What the proposal depends on; the number of generations is not part of it."""

    search: StrategySettings
    terms: tuple[str, ...] = Field(min_length=1)
    seed: int = Field(ge=0)


def main() -> None:
    """Parse, propose, write."""
    arguments = parser(__doc__)
    arguments.add_argument("--generation", type=int, required=True, help="number of the generation, from 0")
    arguments.add_argument("--state", help="state.json of the generation before; none for generation 0")
    arguments.add_argument("--start", help="table of an earlier search that generation 0 begins with")
    arguments.add_argument("--population", required=True, help="population.csv to write")
    given = arguments.parse_args()
    settings = settings_from(given.settings, StageSettings)
    search = settings.search
    state = read_json(given.state) if given.state else None
    start = first_individuals(search, settings.terms, given.start)
    population = propose(
        search.strategy,
        search.settings,
        space_of(search, settings.terms, state["fixed"] if state else start[0] if start else None),
        search.population,
        settings.seed,
        given.generation,
        state,
        start,
    )
    with whole_file(given.population) as part:
        population_table(population).to_csv(part, index=False, lineterminator="\n")


if __name__ == "__main__":
    run(main)
