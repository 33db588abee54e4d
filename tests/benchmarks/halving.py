"""Does successive halving find as good a loss as the full search, for fewer steps?

Two searches on the built-in world from each of three seeds: every individual trained to the end, or three rungs of
which one in three goes on. The winner of each is trained anew with three seeds and judged by one layer on labelled
videos, beside networks that were not trained.

    python -m tests.benchmarks.halving            one piece of at most 55 minutes; again to go on
    python -m tests.benchmarks.halving --table    only shows what is there; writes it once all is

The table is halving.csv beside this file.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from pipeline_src.report.run_size import trials_of
from pipeline_src.stages import command
from tests.benchmarks.science.runs import Run, finish, missing, prepare, results_of, show

WORLD = Path(__file__).with_name("science") / "world.yaml"
TABLE = Path(__file__).with_suffix(".csv")
SEEDS = (0, 1, 2)
RUNGS = {"full": 1, "halving": 3}


def settings_of(kind: str, seed: int) -> dict[str, Any]:
    """The study's world and loss, with a small search."""
    config: dict[str, Any] = yaml.safe_load(WORLD.read_text())
    return {
        **config,
        "run": f"{kind}-{seed}",
        # Each seed renders a world of its own.
        "data_root": f"data/halving/{seed}",
        "results_root": "results/halving",
        "seed": seed,
        "search": {
            "strategy": "tournament",
            "scale": config["search"]["scale"],
            "population": 9,
            "generations": 3,
            "trials": {"share": 3, "rungs": RUNGS[kind], "eta": 3},
            "controls": [],
        },
        "lineup": [{"name": "evolved", "kind": "evolved"}, {"name": "scratch", "kind": "scratch"}],
        "seeds": [0, 1, 2],
    }


def row(run: Run, kind: str, seed: int) -> dict[str, Any]:
    """Steps of one search, and what its winner came to, where that is there."""
    steps = sum(trials.steps(run.settings.proxy.iterations) for trials in trials_of(run.settings))
    found: dict[str, list[float]] = {"evolved": [], "scratch": []}
    for _, result in results_of(run):
        if result["method"] == "linear":
            found[result["entry"]].append(result["top1"])
    means = {entry: float(np.mean(top1)) if top1 else None for entry, top1 in found.items()}
    return {
        "search": kind,
        "seed": seed,
        "steps": steps,
        "one_layer": means["evolved"],
        "untrained": means["scratch"],
    }


def verdict(rows: Mapping[str, pd.DataFrame]) -> str:
    """The steps, the winners' results against the full search's mean minus one deviation, and world by world."""
    full, halving = (rows[kind] for kind in RUNGS)
    bar = full["one_layer"].mean() - full["one_layer"].std()
    gaps = halving["one_layer"].to_numpy() - full["one_layer"].to_numpy()
    return (
        f"halving: {halving['steps'].mean() / full['steps'].mean():.2f} of the steps (at most 0.4); its winners"
        f" {halving['one_layer'].mean():.3f} by one layer, the full search's mean minus one deviation {bar:.3f};"
        f" halving minus full on the same world {gaps.mean():+.3f}, deviation {gaps.std(ddof=1):.3f}"
    )


def main() -> None:
    """Go on, and where all is done write the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--minutes", type=float, default=55, help="start nothing new after this time (default: 55)")
    options.add_argument("--cores", type=int, default=2, help="of this machine (default: 2)")
    options.add_argument("--table", action="store_true", help="run nothing")
    given = options.parse_args()
    runs = {(kind, seed): prepare(settings_of(kind, seed)) for seed in SEEDS for kind in RUNGS}
    if not given.table:
        finish(list(runs.values()), given.minutes, given.cores, lambda run: run.result_files)
    table = pd.DataFrame([row(run, *key) for key, run in runs.items()])
    lacking = missing(list(runs.values()))
    show({TABLE: table}, lacking)
    if not lacking:
        print(verdict(dict(list(table.groupby("search")))))


if __name__ == "__main__":
    command.run(main)
