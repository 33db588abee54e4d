"""What a search has found so far: the best individual, the trend, and which terms matter.

    python -m pipeline_src.stages.show_search results/demo
    python -m pipeline_src.stages.show_search results/demo --table all.csv      all individuals, as CSV or parquet

It reads the generations that are ranked, so it may be asked while a search runs.
"""

import argparse
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline_src.errors import UserError
from pipeline_src.evolution.history import current_generations, importance, ranked, read_history, standing, trend
from pipeline_src.evolution.tables import FOUND, write_individuals
from pipeline_src.stages.command import run

SHOWN = 12


def main() -> None:
    """Parse, read, print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("run", type=Path, help="the run's folder, such as results/demo")
    arguments.add_argument("--table", type=Path, help="also write all individuals to this .csv or .parquet file")
    given = arguments.parse_args()
    count = current_generations(given.run)
    history = read_history(given.run, count)
    print(text_of(history))
    if len(ranked(given.run)) > count:
        print(f"\ngen_{count:03d} and later ones are left out: an earlier search left them")
    if given.table is not None:
        if given.table.suffix not in (".csv", ".parquet"):
            raise UserError(f"--table: {given.table} - allowed: a name that ends with .csv or .parquet")
        write_individuals(history, given.table)


def text_of(history: pd.DataFrame) -> str:
    """The whole text."""
    return "\n\n".join([_best(history), _trend(history), _terms(history)])


def _best(history: pd.DataFrame) -> str:
    failed = int(history["fitness"].isna().sum())
    seconds = history["seconds"]
    time = f"{seconds.sum() / 3600:.2f} hours of training" if seconds.notna().any() else "times were not measured"
    head = f"{len(history)} individuals in {history['generation'].nunique()} generations, {failed} failed, {time}"
    if failed == len(history):
        reasons = history["reason"].value_counts().head(3)
        told = "\n".join(f"  {count} times: {reason}" for reason, count in reasons.items())
        return f"{head}\nNone has a fitness yet.\n{told}"
    # Of equals the first found counts, as in the search itself.
    best = history.iloc[int(standing(history).argmax())].to_dict()
    weights = sorted(
        ((float(best[name]), name) for name in history.columns if name not in FOUND),
        key=lambda pair: (-pair[0], pair[1]),
    )
    lines = [f"  {weight:.3f}  {term}" for weight, term in weights[:SHOWN]]
    if len(weights) > SHOWN:
        lines.append(f"  ... and {len(weights) - SHOWN} more with at most {weights[SHOWN][0]:.3f}")
    where = f"generation {best['generation']}, individual {best['individual']}"
    return "\n".join([head, f"Best: fitness {best['fitness']:.6g} in {where}, with the weights", *lines])


def _trend(history: pd.DataFrame) -> str:
    table = trend(history).reset_index()
    lines = [f"{'generation':>10} {'individuals':>11} {'failed':>6} {'mean':>10} {'best':>10} {'best so far':>11}"]
    for row in _ends(table.to_dict("records")):
        if row is None:
            lines.append(f"{'...':>10}")
            continue
        values = f"{row['mean']:>10.5f} {row['best']:>10.5f} {row['best_so_far']:>11.5f}".replace("nan", "  -")
        lines.append(f"{row['generation']:>10} {row['individuals']:>11} {row['failed']:>6} {values}")
    return "\n".join(lines)


def _ends(rows: list[dict[Hashable, Any]]) -> list[dict[Hashable, Any] | None]:
    """All rows, or the first and last with None for those between."""
    return [*rows] if len(rows) <= 2 * SHOWN else [*rows[:SHOWN], None, *rows[-SHOWN:]]


def _terms(history: pd.DataFrame) -> str:
    table = importance(history).dropna(subset="correlation")
    if table.empty:
        return "Which terms matter: too few individuals with different fitness to say."
    lines = ["Which terms matter: rank correlation of their weight with fitness, and its 95 % interval"]
    for row in _ends(table.to_dict("records")):
        if row is None:
            lines.append("     ...")
            continue
        clear = "  clearly" if row["low"] > 0 or row["high"] < 0 else ""
        interval = f"({row['low']:+.2f} to {row['high']:+.2f})"
        lines.append(f"  {row['correlation']:+.2f}  {interval}  {row['term']}{clear}")
    return "\n".join(lines)


if __name__ == "__main__":
    run(main)
