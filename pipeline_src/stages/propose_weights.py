"""Propose the weights of one generation: population.csv, and weights.json for every individual."""

from pydantic import Field

from pipeline_src.errors import UserError
from pipeline_src.evolution.search import propose
from pipeline_src.evolution.tables import population_table
from pipeline_src.files import read_json, whole_file, write_json
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
    arguments.add_argument("--population", required=True, help="population.csv to write")
    arguments.add_argument("--weights", nargs="+", required=True, help="weights.json to write, one per individual")
    given = arguments.parse_args()
    settings = settings_from(given.settings, StageSettings)
    search = settings.search
    if len(given.weights) != search.population:
        raise UserError(f"--weights: {len(given.weights)} files - allowed: search.population = {search.population}")
    population = propose(
        search.strategy,
        search.settings,
        settings.terms,
        search.population,
        settings.seed,
        given.generation,
        read_json(given.state) if given.state else None,
    )
    for path, weights in zip(given.weights, population, strict=True):
        write_json(path, weights)
    with whole_file(given.population) as part:
        population_table(population).to_csv(part, index=False, lineterminator="\n")


if __name__ == "__main__":
    run(main)
