"""`make learn`: does every term learn what it should, and nothing else?

Each term is trained alone on the built-in world, three times, and judged on videos that it never saw, by its own
measure: right answers against chance, or an error against that of predicting the mean. The same is done with the signal
taken away (controls.py): there it must not be better than chance, or the term has found a shortcut.

    python -m tests.benchmarks.learn                    one piece of at most 55 minutes; again to go on
    python -m tests.benchmarks.learn 'rgb.*' --minutes 10
    python -m tests.benchmarks.learn --table            only the table of what is there

What is done stays in data/learn/results; the table is tests/benchmarks/learn/learn.csv.
"""

import argparse
import itertools
import time
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from fnmatch import fnmatchcase
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from pipeline_src.provenance import code_version
from pipeline_src.settings import catalogue
from tests.benchmarks.learn import run
from tests.benchmarks.learn.controls import control_of
from tests.benchmarks.learn.data import DATA, KINDS, PARTS, collection

SEEDS = (0, 1, 2)
RESULTS = DATA / "results"
TABLE = Path(__file__).with_name("learn.csv")
RESAMPLES = 2_000


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("terms", nargs="*", default=["*"], help="names or patterns (default: all)")
    options.add_argument("--minutes", type=float, default=55, help="start nothing new after this time (default: 55)")
    options.add_argument("--workers", type=int, default=2, help="trainings side by side (default: 2)")
    options.add_argument("--table", action="store_true", help="train nothing")
    given = options.parse_args()
    terms = [name for name in sorted(catalogue.terms()) if any(fnmatchcase(name, p) for p in given.terms)]
    if not given.table:
        train_all(terms, given.minutes, given.workers)
    write_table()


def path_of(term: str, condition: str, seed: int) -> Path:
    """Where a training's result is; another version of the term's code has another place."""
    version = code_version("pipeline_src.loss.engine", catalogue.module("task", catalogue.terms()[term]))
    return RESULTS / f"{term.replace('>', '_to_')}-{condition}-{seed}-{version[:8]}-{run.schedule_of(term)}.npz"


def train_all(terms: list[str], minutes: float, workers: int) -> None:
    for kind, part in itertools.product(KINDS, PARTS):
        collection(kind, part)
    RESULTS.mkdir(parents=True, exist_ok=True)
    jobs = [(term, c, seed) for seed in SEEDS for term in terms for c in ("signal", control_of(term))]
    todo = [job for job in jobs if not path_of(*job).exists()]
    print(f"{len(jobs) - len(todo)} of {len(jobs)} trainings are there", flush=True)
    stop = time.monotonic() + 60 * minutes
    with ProcessPoolExecutor(workers, mp_context=get_context("forkserver")) as pool:
        running: dict[Future[float], tuple[str, str, int]] = {}
        while todo or running:
            while todo and len(running) < workers and time.monotonic() < stop:
                job = todo.pop(0)
                running[pool.submit(run.train_and_judge, *job, path_of(*job))] = job
            if not running:
                print(f"time is up; {len(todo)} trainings are left, start it again to go on")
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                job = running.pop(future)
                print(f"{job[0]:32} {job[1]:10} seed {job[2]} {future.result():6.1f} s", flush=True)


def write_table() -> None:
    """Per term and condition, over seeds and held-out videos: what was reached, with its interval."""
    rows = []
    for term in sorted(catalogue.terms()):
        for condition in ("signal", control_of(term)):
            files = [path_of(term, condition, seed) for seed in SEEDS if path_of(term, condition, seed).exists()]
            if files:
                rows.append(summary(term, condition, [np.load(file) for file in files]))
    table = pd.DataFrame(rows)
    table.to_csv(TABLE, index=False, lineterminator="\n", float_format="%.4f")
    print(table.to_string(index=False))
    done = table[table["seeds"] == len(SEEDS)]
    print(done.groupby(["condition", "verdict"]).size().to_string())


def summary(term: str, condition: str, found: list[dict[str, np.ndarray]]) -> dict[str, object]:
    """A row: the gain over chance (or over the mean's error, as a share of it), with its 95 % interval.

    The interval is the wider one of two: Student's t over the seeds' means, and a bootstrap over videos, each drawn
    with all of its examples from all seeds.
    """
    error = bool(found[0]["error"])
    values, trivial = (np.concatenate([part[name] for part in found]) for name in ("values", "trivial"))
    scale = max(trivial.mean(), 1e-9) if error else 1.0
    gains = [(p["trivial"] - p["values"] if error else p["values"] - p["trivial"]) / scale for p in found]
    means = np.array([part.mean() for part in gains])
    low, high = bootstrap(np.concatenate(gains), np.concatenate([part["clips"] for part in found]))
    if len(means) > 1:
        reach = stats.t.ppf(0.975, len(means) - 1) * means.std(ddof=1) / np.sqrt(len(means))
        low, high = min(low, means.mean() - reach), max(high, means.mean() + reach)
    return {
        "term": term,
        "condition": condition,
        "measure": "error" if error else "accuracy",
        "seeds": len(found),
        "steps": int(found[0]["steps"]),
        "examples": len(values),
        "reached": values.mean(),
        "trivial": trivial.mean(),
        "gain": means.mean(),
        "low": low,
        "high": high,
        "verdict": verdict(condition, low, high),
    }


def bootstrap(gains: np.ndarray, clips: np.ndarray) -> tuple[float, float]:
    """Where 95 % of the means over redrawn videos lie."""
    videos, place = np.unique(clips, return_inverse=True)
    sums, counts = np.bincount(place, gains), np.bincount(place)
    drawn = np.random.default_rng(0).integers(len(videos), size=(RESAMPLES, len(videos)))
    low, high = np.quantile(sums[drawn].sum(1) / counts[drawn].sum(1), [0.025, 0.975])
    return float(low), float(high)


def verdict(condition: str, low: float, high: float) -> str:
    """With the signal the gain must be above 0, without it 0 must be inside."""
    if not np.isfinite([low, high]).all():
        return "not finite"
    if condition == "signal":
        return "learns" if low > 0 else "does not learn"
    if low > 0:
        return "SHORTCUT"
    return "no shortcut" if high >= 0 else "below chance"


if __name__ == "__main__":
    main()
