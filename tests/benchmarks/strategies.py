"""Strategies on analytic objectives of 40 weights, at equal numbers of evaluations.

    python -m tests.benchmarks.strategies

Mean and deviation of the distance from the best over ten seeds; the table is strategies.csv beside this file.
"""

import argparse
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import wilcoxon

from pipeline_src.evolution.search import propose, rank
from pipeline_src.evolution.space import Space, Weights
from pipeline_src.settings import catalogue

TERMS = [f"term{number:02d}" for number in range(40)]
SPACE = Space(TERMS)
KINDS = ("sphere", "sparse")
SEEDS = range(10)
GENERATIONS, POPULATION = 100, 16
IMPORTANT = 5
NOISE = 0.1

Fitness = Callable[[Weights, int, int], float | None]


def search(
    strategy: str,
    fitness: Fitness,
    *,
    generations: int,
    population: int = 10,
    seed: int = 0,
    space: Space = SPACE,
    **given: Any,
) -> list[dict[str, Any]]:
    """States after each generation of a whole search; they pass through JSON as between jobs.

    Args:
        strategy: its name.
        fitness: of weights, the generation and the individual.
        generations, population, seed, space: as of a run.
        given: settings of the strategy.
    """
    settings = catalogue.complete("strategy", strategy, given)
    states: list[dict[str, Any]] = []
    for generation in range(generations):
        state = states[-1] if states else None
        individuals = propose(strategy, settings, space, population, seed, generation, state)
        found = [fitness(weights, generation, number) for number, weights in enumerate(individuals)]
        _, state = rank(strategy, settings, space, individuals, found, generation, state)
        states.append(json.loads(json.dumps(state, allow_nan=False)))
    return states


def objective(kind: str, seed: int) -> tuple[Callable[[Mapping[str, float]], float], Fitness]:
    """An objective with its best value 0, and the same with noise, as a proxy training's fitness has it.

    sphere   minus the squared distance to a hidden point
    sparse   the same in 5 of the 40 weights, each counting 8 times; the others count nothing
    """
    random = np.random.default_rng([seed, 7])
    target, importance = random.random(len(TERMS)), np.ones(len(TERMS))
    if kind == "sparse":
        importance = np.zeros(len(TERMS))
        importance[random.choice(len(TERMS), IMPORTANT, replace=False)] = len(TERMS) / IMPORTANT

    def clean(weights: Mapping[str, float]) -> float:
        values = np.array([weights[term] for term in TERMS])
        return -float(np.sum(importance * (values - target) ** 2))

    def noisy(weights: Weights, generation: int, individual: int) -> float:
        return clean(weights) + NOISE * float(np.random.default_rng([seed, generation, individual, 99]).normal())

    return clean, noisy


def regret(kind: str, strategy: str, seed: int, generations: int, population: int) -> float:
    """How far a search's best individual is from the best there is, without the noise."""
    clean, noisy = objective(kind, seed)
    best = search(strategy, noisy, generations=generations, population=population, seed=seed)[-1]["best"]
    return -clean(best["weights"])


def compare(generations: int, population: int) -> pd.DataFrame:
    """Per objective and strategy the regret over ten seeds, and against random how often it is smaller, with p.

    p is that of Wilcoxon's signed-rank test, one-sided, on the logarithms.
    """
    rows = []
    for kind in KINDS:
        found = {
            strategy: np.array([regret(kind, strategy, seed, generations, population) for seed in SEEDS])
            for strategy in catalogue.names("strategy")
        }
        for strategy, values in found.items():
            row = {"objective": kind, "strategy": strategy, "mean": values.mean(), "deviation": values.std(ddof=1)}
            if strategy != "random":
                row["better_than_random"] = int((values < found["random"]).sum())
                row["p"] = wilcoxon(np.log(values), np.log(found["random"]), alternative="less").pvalue
            rows.append(row)
    return pd.DataFrame(rows).astype({"better_than_random": "Int64"})


def main() -> None:
    """Print the table; write it where it is the committed one."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--generations", type=int, default=GENERATIONS)
    options.add_argument("--population", type=int, default=POPULATION)
    given = options.parse_args()
    table = compare(given.generations, given.population)
    print(f"distance from the best after {given.generations} generations of {given.population}, noise {NOISE}")
    print(table.to_string(index=False, float_format=lambda value: f"{value:.3f}"))
    if (given.generations, given.population) == (GENERATIONS, POPULATION):
        table.to_csv(Path(__file__).with_suffix(".csv"), index=False, lineterminator="\n", float_format="%.4f")


if __name__ == "__main__":
    main()
