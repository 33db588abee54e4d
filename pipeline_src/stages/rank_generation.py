"""Rank a generation by fitness: generation.csv, and the state that the next proposal starts from."""

import sys
from pathlib import Path

from pydantic import Field

from pipeline_src.errors import UserError
from pipeline_src.evolution.search import rank
from pipeline_src.evolution.start import space_of
from pipeline_src.evolution.tables import content_of, generation_table, read_population
from pipeline_src.evolution.trials import Trials, merged, read_trials
from pipeline_src.files import read_json, whole_file, write_json
from pipeline_src.settings.base import Settings
from pipeline_src.settings.search import StrategySettings, TrialSettings
from pipeline_src.stages.command import parser, run, settings_from


class StageSettings(Settings):
    """What the ranking depends on; the number of generations is not part of it."""

    search: StrategySettings
    trials: TrialSettings
    weak_measure: str | None
    terms: tuple[str, ...] = Field(min_length=1)
    seed: int = Field(ge=0)


def main() -> None:
    """Parse, rank, write."""
    arguments = parser(__doc__)
    arguments.add_argument("--generation", type=int, required=True, help="number of the generation, from 0")
    arguments.add_argument("--population", required=True, help="population.csv of this generation")
    arguments.add_argument("--folder", type=Path, required=True, help="generation's folder, with its jobs' results")
    arguments.add_argument("--state", help="state.json of the generation before; none for generation 0")
    arguments.add_argument("--table", required=True, help="generation.csv to write")
    arguments.add_argument("--state-out", required=True, help="state.json to write")
    given = arguments.parse_args()
    settings = settings_from(given.settings, StageSettings)
    population = read_population(given.population)
    if sorted(population[0]) != sorted(settings.terms):
        changed = ", ".join(sorted(set(population[0]) ^ set(settings.terms)))
        raise UserError(f"{given.population}: differs from loss.terms in {changed}; delete it and run snakemake again")
    trials = Trials(len(population), **settings.trials.model_dump())
    reached = merged([read_trials(given.folder, trials, rung) for rung in range(trials.rungs)])
    by_individual = {trial.individual: trial for trial in reached}
    _, state = rank(
        settings.search.strategy,
        settings.search.settings,
        space_of(settings.search, settings.terms, population[0]),
        population,
        [by_individual[number].fitness for number in range(len(population))],
        given.generation,
        read_json(given.state) if given.state else None,
        [by_individual[number].rung for number in range(len(population))],
    )
    with whole_file(given.table) as part:
        table = generation_table(population, reached, settings.weak_measure)
        table.to_csv(part, index=False, lineterminator="\n")
    write_json(given.state_out, {**state, "before": content_of(given.state) if given.state else None})
    failed = sum(trial.fitness is None for trial in reached)
    best = state["best"]
    found = (
        f"best so far {best['fitness']:.6g} in generation {best['generation']}" if best else "none has succeeded yet"
    )
    print(
        f"generation {given.generation}: {failed} of {len(reached)} individuals failed; {found}",
        file=sys.stderr,
    )


if __name__ == "__main__":
    run(main)
