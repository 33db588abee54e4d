"""A run of the demo's size on real video, over the three official splits: does the whole pipeline hold there?

    python -m tests.benchmarks.real_videos            one piece of at most 55 minutes; again to go on
    python -m tests.benchmarks.real_videos --table    only the table of what is there

Wants ../shared/data/real. Each run's report is results/small-real-1/report/index.html and so on; the table is
real_videos.csv beside this file. tests/benchmarks/science asks, with more seeds, whether evolving pays.
"""

import argparse
from pathlib import Path

import pandas as pd
from scipy import stats

from tests.benchmarks.science.runs import Run, finish, runs_of_splits

CONFIG = Path(__file__).with_suffix(".yaml")
TABLE = Path(__file__).with_suffix(".csv")


def over_splits(runs: list[Run]) -> pd.DataFrame:
    """Top-1 of each row by each method on each split, its mean, and the 95 % t-interval over splits."""
    found = []
    for number, run in enumerate(runs, 1):
        table = pd.read_csv(run.folder / "transfer" / "results.csv")
        found.append(table.set_index(["entry", "method"])["top1"].rename(f"split{number}"))
    table = pd.concat(found, axis=1).dropna(how="all")
    reach = stats.t.ppf(0.975, len(runs) - 1) * table.std(axis=1) / len(runs) ** 0.5
    mean = table.mean(axis=1)
    return table.assign(mean=mean, low=mean - reach, high=mean + reach).reset_index()


def main() -> None:
    """Go on, and where all is done write the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--minutes", type=float, default=55, help="start nothing new after this time (default: 55)")
    options.add_argument("--cores", type=int, default=2, help="of this machine (default: 2)")
    options.add_argument("--table", action="store_true", help="run nothing")
    given = options.parse_args()
    runs = runs_of_splits(CONFIG)
    if not given.table:
        finish(runs, given.minutes, given.cores)
    table = over_splits(runs)
    table.to_csv(TABLE, index=False, lineterminator="\n", float_format="%.4f")
    print(table.to_string(index=False, float_format=lambda value: f"{value:.3f}"))


if __name__ == "__main__":
    main()
