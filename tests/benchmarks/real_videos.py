"""A run of the demo's size on real video, over the three official splits: does the whole pipeline hold there?

    python -m tests.benchmarks.real_videos            one piece of at most 55 minutes; again to go on
    python -m tests.benchmarks.real_videos --table    only shows what is there; writes it once all is

Wants ../shared/data/real. Each run's report is results/small-real-1/report/index.html and so on; beside this file are
real_videos.csv, each row's top-1 over the splits with its interval over source videos, and real_videos_paired.csv, rows
against each other. tests/benchmarks/science asks, with more seeds, whether evolving pays.
"""

import argparse
from pathlib import Path

from pipeline_src.stages import command
from pipeline_src.transfer.results import kinds_of
from pipeline_src.transfer.summaries import paired_table, rows_of_lineup, summary_table
from tests.benchmarks.science.runs import answers_of_runs, finish, missing, runs_of_splits, show

CONFIG = Path(__file__).with_suffix(".yaml")


def main() -> None:
    """Go on, and where all is done write the tables."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--minutes", type=float, default=55, help="start nothing new after this time (default: 55)")
    options.add_argument("--cores", type=int, default=2, help="of this machine (default: 2)")
    options.add_argument("--table", action="store_true", help="run nothing")
    given = options.parse_args()
    runs = runs_of_splits(CONFIG)
    if not given.table:
        finish(runs, given.minutes, given.cores)
    rows = rows_of_lineup(answers_of_runs(runs), kinds_of(runs[0].settings.lineup))
    tables = {"real_videos": summary_table(rows), "real_videos_paired": paired_table(rows)}
    show({CONFIG.with_name(f"{name}.csv"): table for name, table in tables.items()}, missing(runs))


if __name__ == "__main__":
    command.run(main)
