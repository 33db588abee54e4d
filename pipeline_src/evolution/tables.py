"""The search's tables: who is in a generation, and how it ended."""

import os
from collections.abc import Sequence
from typing import Any

import pandas as pd

from pipeline_src.errors import UserError
from pipeline_src.evolution.search import Weights

RANKING = ("individual", "rank", "fitness", "status", "reason")


def population_table(population: Sequence[Weights]) -> pd.DataFrame:
    """Columns: individual, then one per term."""
    table = pd.DataFrame(list(population))
    table.insert(0, "individual", range(len(population)))
    return table


def read_population(path: str | os.PathLike[str]) -> list[Weights]:
    """Weights per individual from a population table.

    Raises:
        UserError: the file is no such table.
    """
    table = _read(path, ("individual",))
    if table["individual"].tolist() != list(range(len(table))) or table.empty:
        raise UserError(f"{path}: individuals must be numbered from 0; delete it and run snakemake again")
    terms = [str(name) for name in table.columns if name != "individual"]
    return [dict(zip(terms, map(float, row), strict=True)) for row in table[terms].to_numpy()]


def generation_table(
    population: Sequence[Weights], ranking: Sequence[int], results: Sequence[dict[str, Any]]
) -> pd.DataFrame:
    """Columns: individual, rank (1 = best), fitness (empty = failed), status, reason, then one per term.

    Args:
        population: weights per individual.
        ranking: individuals' numbers, best first.
        results: the content of each individual's fitness.json.
    """
    rows = [
        {
            "individual": number,
            "rank": place,
            "fitness": results[number]["fitness"],
            "status": results[number]["status"],
            "reason": results[number]["reason"],
            **population[number],
        }
        for place, number in enumerate(ranking, start=1)
    ]
    return pd.DataFrame(rows)


def best_weights(path: str | os.PathLike[str]) -> Weights:
    """Weights of the first row of a generation's table.

    Raises:
        UserError: the file is no such table, or all of its individuals failed.
    """
    table = _read(path, RANKING)
    if table["fitness"].head(1).count() == 0:
        raise UserError(f"{path}: no individual of this generation got a fitness; its reasons are in the table")
    weights = table.drop(columns=list(RANKING)).head(1)
    return {str(name): float(values.iloc[0]) for name, values in weights.items()}


def _read(path: str | os.PathLike[str], required: Sequence[str]) -> pd.DataFrame:
    try:
        table = pd.read_csv(path)
    except ValueError as error:
        raise UserError(f"{path}: not a valid table ({error}); delete it and run snakemake again") from error
    if list(table.columns[: len(required)]) != list(required):
        raise UserError(f"{path}: must start with columns {', '.join(required)}; delete it and run snakemake again")
    return table
