"""Propose the weights of one generation: population.csv, and weights.json for every individual."""

from pathlib import Path

from pydantic import Field

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
    arguments.add_argument("--folder", type=Path, required=True, help="generation's folder: ind_000/weights.json ...")
    given = arguments.parse_args()
    settings = settings_from(given.settings, StageSettings)
    search = settings.search
    population = propose(
        search.strategy,
        search.settings,
        settings.terms,
        search.population,
        settings.seed,
        given.generation,
        read_json(given.state) if given.state else None,
    )
    for individual, weights in enumerate(population):
        write_json(given.folder / f"ind_{individual:03d}" / "weights.json", weights)
    with whole_file(given.population) as part:
        population_table(population).to_csv(part, index=False, lineterminator="\n")


if __name__ == "__main__":
    run(main)
