"""`make learn`: does every term learn what it should, and nothing else?

Each term is trained alone on the built-in world, three times, and judged on videos that it never saw, by its own
measure: right answers against chance, or an error against that of predicting the mean. The same is done with the signal
taken away (controls.py): there it must not be better than chance, or the term has found a shortcut. How many steps a
term takes, and at what rate, was chosen until it was seen to learn, on these same videos (run.py names those that need
more than most): its bound says that it can learn, not how fast. Controls deal other clips' pictures or features, and
the videos are longer than windows, so padding is not asked about here: tests/unit/loss/test_padding.py does.

    python -m tests.benchmarks.learn                    one piece of at most 55 minutes; again to go on
    python -m tests.benchmarks.learn 'rgb.*' --minutes 10
    python -m tests.benchmarks.learn --table            only the table of what is there

What is done is a row of tests/benchmarks/learn/trainings.csv, and is done again only after the code of the engine or of
the term, the controls or the videos changed, or with --again; the table is tests/benchmarks/learn/learn.csv.
"""

import argparse
import hashlib
import time
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from fnmatch import fnmatchcase
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from pipeline_src.files import whole_file
from pipeline_src.provenance import code_version
from pipeline_src.settings import catalogue
from tests.benchmarks.learn import run
from tests.benchmarks.learn.controls import control_of
from tests.benchmarks.learn.data import collection

SEEDS = (0, 1, 2)
TRAININGS = Path(__file__).with_name("trainings.csv")
TABLE = Path(__file__).with_name("learn.csv")
Job = tuple[str, str, int]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("terms", nargs="*", default=["*"], help="names or patterns (default: all)")
    options.add_argument("--minutes", type=float, default=55, help="start nothing new after this time (default: 55)")
    options.add_argument("--workers", type=int, default=2, help="trainings side by side (default: 2)")
    options.add_argument("--again", action="store_true", help="train what is there already, too")
    options.add_argument("--table", action="store_true", help="train nothing")
    given = options.parse_args()
    terms = [name for name in sorted(catalogue.terms()) if any(fnmatchcase(name, p) for p in given.terms)]
    done = rows_done()
    if not given.table:
        train_all(terms, given.minutes, given.workers, done, given.again)
    write_table(done)


def version_of(term: str) -> str:
    """Changes with all code that decides what a training gives, its steps, learning rate and what it is judged on."""
    version = code_version("pipeline_src.loss.engine", catalogue.module("task", catalogue.terms()[term]))
    steps, rate = run.schedule_of(term)
    asked = run.asked_of(term)
    return f"{version[:8]}-{_judged()}-{steps}-{rate:g}" + ("" if asked == "held_out" else f"-{asked}")


@cache
def _judged() -> str:
    """Changes with the videos, the controls, and what all trainings have in common."""
    files = [Path(__file__).with_name(name).read_bytes() for name in ("controls.py", "data.py")]
    shared = repr((run.BATCH, run.PASSES, run.NETWORK, run.SMALLER)).encode()
    return hashlib.sha256(b"".join([*files, shared])).hexdigest()[:4]


def rows_done() -> dict[Job, dict[str, Any]]:
    """The trainings that were made by the code as it is now."""
    if not TRAININGS.exists():
        return {}
    versions = {term: version_of(term) for term in catalogue.terms()}
    rows = pd.read_csv(TRAININGS).to_dict("records")
    return {
        (row["term"], row["condition"], row["seed"]): row for row in rows if row["version"] == versions.get(row["term"])
    }


def train_all(terms: list[str], minutes: float, workers: int, done: dict[Job, dict[str, Any]], again: bool) -> None:
    """Train what is not in `done`, which takes each training's row, as TRAININGS does."""
    jobs = [(term, c, seed) for seed in SEEDS for term in terms for c in ("signal", control_of(term))]
    todo = [job for job in jobs if again or job not in done]
    for kind, part in sorted({parts for term, condition, _ in todo for parts in run.parts_of(term, condition)}):
        collection(kind, part)
    print(f"{len(jobs) - len(todo)} of {len(jobs)} trainings are there", flush=True)
    stop = time.monotonic() + 60 * minutes
    with ProcessPoolExecutor(workers, mp_context=get_context("forkserver")) as pool:
        running: dict[Future[dict[str, Any]], Job] = {}
        while todo or running:
            while todo and len(running) < workers and time.monotonic() < stop:
                job = todo.pop(0)
                running[pool.submit(run.train_and_judge, *job)] = job
            if not running:
                print(f"time is up; {len(todo)} trainings are left, start it again to go on")
                break
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                term, condition, seed = job = running.pop(future)
                name = {"term": term, "condition": condition, "seed": seed, "version": version_of(term)}
                done[job] = {**name, **future.result()}
                with whole_file(TRAININGS) as part:
                    rows = pd.DataFrame([done[job] for job in sorted(done)])
                    rows.to_csv(part, index=False, lineterminator="\n", float_format="%.5g")
                print(f"{term:32} {condition:10} seed {seed} gain {done[job]['gain']:.3f}", flush=True)


def write_table(done: dict[Job, dict[str, Any]]) -> None:
    """Per term and condition, over seeds and held-out videos: what was reached, with its interval."""
    rows = []
    for term in sorted(catalogue.terms()):
        for condition in ("signal", control_of(term)):
            found = [done[term, condition, seed] for seed in SEEDS if (term, condition, seed) in done]
            if found:
                rows.append(summary(term, condition, pd.DataFrame(found)))
    table = pd.DataFrame(rows)
    table.to_csv(TABLE, index=False, lineterminator="\n", float_format="%.4f")
    print(table.to_string(index=False))
    whole = table[table["seeds"] == len(SEEDS)]
    print(whole.groupby(["condition", "verdict"]).size().to_string())


def summary(term: str, condition: str, found: pd.DataFrame) -> dict[str, object]:
    """A row: the gain over chance (or over the mean's error, as a share of it), with its 95 % interval.

    The interval is the wider one of two: Student's t over the seeds' means, and the normal one over videos. Seeds are
    judged on the same videos, so that more seeds make the latter no narrower.
    """
    mean, seeds = found["gain"].mean(), len(found)
    reach = stats.norm.ppf(0.975) * found["deviation"].mean()
    if seeds > 1:
        reach = max(reach, stats.t.ppf(0.975, seeds - 1) * found["gain"].std(ddof=1) / np.sqrt(seeds))
    return {
        "term": term,
        "condition": condition,
        "measure": found["measure"].iloc[0],
        "seeds": seeds,
        "steps": found["steps"].iloc[0],
        "examples": found["examples"].sum(),
        "reached": found["reached"].mean(),
        "trivial": found["trivial"].mean(),
        "gain": mean,
        "low": mean - reach,
        "high": mean + reach,
        "verdict": verdict(condition, mean - reach, mean + reach),
    }


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
