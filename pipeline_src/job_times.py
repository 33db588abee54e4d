"""How long jobs took. Standard library only: the Snakefile imports this."""

import csv
import os


def seconds_taken(benchmark: str | os.PathLike[str]) -> float:
    """Wall seconds of a job by the benchmark file that Snakemake wrote; 0 where there is none, or it was cut off."""
    try:
        with open(benchmark, newline="", encoding="utf-8") as file:
            return float(next(csv.DictReader(file, delimiter="\t"))["s"])
    except (OSError, StopIteration, KeyError, TypeError, ValueError):
        return 0.0
