"""The search's tables: who is in a generation, and how it ended."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from pipeline_src.errors import UserError
from pipeline_src.evolution.space import Weights
from pipeline_src.evolution.trials import Trial
from pipeline_src.files import whole_file

RANKING = ("individual", "rank", "rung", "fitness", "spread", "status", "reason")
MEASURED = ("zipf", "noise", "weak", "effective_rank", "stability")
FOUND = ("generation", *RANKING, *MEASURED, "seconds")


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
    table = read_table(path, ("individual",))
    if table["individual"].tolist() != list(range(len(table))) or table.empty:
        raise UserError(f"{path}: individuals must be numbered from 0; delete it and run snakemake again")
    terms = [str(name) for name in table.columns if name != "individual"]
    return [dict(zip(terms, map(float, row), strict=True)) for row in table[terms].to_numpy()]


def read_start(path: str | os.PathLike[str], terms: Sequence[str], required: Sequence[str] = ()) -> list[Weights]:
    """Weights of an earlier search's individuals from its table, best first.

    Args:
        path: a table with a column per term and, of a search that has run, `fitness`.
        terms: this search's. One that the table lacks gets weight 0: the earlier loss did not have it.
        required: terms that the table must have.

    Raises:
        UserError: the file is no such table, has other terms, a weight outside of [0, 1] or no individual that
            succeeded.
    """
    table = read_table(path, (), "choose another")
    unknown = sorted(set(map(str, table.columns)) - set(terms) - set(FOUND))
    if unknown:
        raise UserError(f"search.start: {path} has {', '.join(unknown)} - allowed: terms of loss.terms")
    known = [term for term in sorted(terms) if term in table.columns]
    missing = sorted(set(required) - set(known))
    if missing:
        raise UserError(
            f"search.frozen: {', '.join(missing)} - allowed: terms that the table of search.start, {path}, has; give a"
            " weight in search.fixed"
        )
    if "fitness" in table.columns:
        # Fitness after few steps does not compare with that after many: who got further comes first.
        order = [name for name in ("rung", "fitness") if name in table.columns]
        table = table.dropna(subset="fitness").sort_values(order, ascending=False, kind="stable")
    weights = table[known].apply(pd.to_numeric, errors="coerce")
    if weights.empty or not ((weights >= 0) & (weights <= 1)).to_numpy().all():
        raise UserError(f"search.start: {path} - allowed: at least one individual with a fitness, weights from 0 to 1")
    return [{**dict.fromkeys(sorted(terms), 0.0), **row} for row in weights.astype(float).to_dict("records")]


def generation_table(population: Sequence[Weights], trials: Sequence[Trial], weak_measure: str | None) -> pd.DataFrame:
    """Columns of RANKING (rank 1 = best, fitness empty = failed), of MEASURED, then one per term.

    Args:
        population: weights per individual.
        trials: what each came to, best first.
        weak_measure: which agreement with classes is shown.
    """
    rows = []
    for place, trial in enumerate(trials, start=1):
        result = trial.result
        zipf, weak = result["zipf"] or {}, result["weak"] or {}
        rows.append(
            {
                "individual": trial.individual,
                "rank": place,
                "rung": trial.rung,
                "fitness": trial.fitness,
                "spread": trial.spread,
                "status": result["status"],
                "reason": result["reason"],
                "zipf": -zipf["kl"] if zipf else None,
                "noise": zipf.get("noise"),
                "weak": weak.get(weak_measure),
                "effective_rank": result["effective_rank"],
                "stability": result["stability"],
                **population[trial.individual],
            }
        )
    return pd.DataFrame(rows)


def content_of(path: str | os.PathLike[str]) -> str:
    """SHA-256 of a file: by it each state names the one that it came from."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def write_individuals(table: pd.DataFrame, path: Path) -> None:
    """Write a table of individuals as CSV or, where the name says so, parquet."""
    with whole_file(path) as part:
        if path.suffix == ".parquet":
            table.to_parquet(part, index=False)
        else:
            table.to_csv(part, index=False, lineterminator="\n")


def read_table(
    path: str | os.PathLike[str], required: Sequence[str], advice: str = "delete it and run snakemake again"
) -> pd.DataFrame:
    """A table that begins with some columns.

    Raises:
        UserError: the file is no such table.
    """
    try:
        table = pd.read_csv(path)
    except ValueError as error:
        raise UserError(f"{path}: not a valid table ({error}); {advice}") from error
    if list(table.columns[: len(required)]) != list(required):
        raise UserError(f"{path}: must start with columns {', '.join(required)}; {advice}")
    return table
