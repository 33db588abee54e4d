"""What a search has found so far: all individuals, the trend over generations, and which weights matter."""

import csv
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from pipeline_src.errors import UserError
from pipeline_src.evolution.tables import FOUND, RANKING, content_of, read_table
from pipeline_src.evolution.trials import folder
from pipeline_src.files import read_json

DRAWS = 1000
GENERATION = re.compile(r"gen_\d{3,}")


def read_history(run: Path, generations: int | None = None) -> pd.DataFrame:
    """All individuals of a run's ranked generations, in order.

    Args:
        run: the run's folder.
        generations: of the search; those that an earlier, longer one left are not read. None for all that there are.

    Returns:
        Columns generation, those of generation.csv, and before the terms the seconds of the individual's trials (NaN =
        not measured).

    Raises:
        UserError: no generation has been ranked, one's table is broken, or the search's terms were changed in between.
    """
    paths = ranked(run)
    if generations is not None:
        paths = [path for path in paths if generation_of(path) < generations]
    if not paths:
        raise UserError(f"{run}: no generation of a search is ranked there yet")
    tables: list[pd.DataFrame] = []
    measured = _measured_jobs(run)
    for path in paths:
        table = read_table(path, RANKING)
        table.insert(0, "generation", generation_of(path))
        seconds = _seconds(path.parent, table, measured.get(path.parent.name.removeprefix("gen_"), []))
        table.insert(len(FOUND) - 1, "seconds", [seconds.get(int(number), math.nan) for number in table["individual"]])
        if tables and list(table.columns) != list(tables[0].columns):
            raise UserError(f"{path}: other terms than {paths[0]}; run snakemake to bring the search up to date")
        tables.append(table)
    return pd.concat(tables, ignore_index=True).sort_values(["generation", "individual"], ignore_index=True)


def ranked(run: Path) -> list[Path]:
    """The tables of a run's ranked generations, in order, those that an earlier search left among them."""
    found = run.glob("search/gen_*/generation.csv")
    return sorted((path for path in found if GENERATION.fullmatch(path.parent.name)), key=generation_of)


def generation_of(table: Path) -> int:
    """The number of the generation whose table that is."""
    return int(table.parent.name.removeprefix("gen_"))


def current_generations(run: Path) -> int:
    """How many generations belong to the search as it is: each one's state names that of the one before it."""
    count, before = 0, None
    for path in ranked(run):
        state = path.with_name("state.json")
        if generation_of(path) != count or not state.exists() or read_json(state).get("before") != before:
            break
        count, before = count + 1, content_of(state)
    return count


def trend(history: pd.DataFrame) -> pd.DataFrame:
    """Per generation: individuals, failed, mean and best fitness, and the best so far (NaN while all failed).

    With successive halving, fitness is that of the individuals that reached the last rung.
    """
    everyone = history.groupby("generation")["fitness"].agg(["size", "count"])
    scored = history[history["fitness"].notna()]
    furthest = scored[scored["rung"] == scored["rung"].max()].groupby("generation")["fitness"].agg(["mean", "max"])
    found = everyone.join(furthest)
    return pd.DataFrame(
        {
            "individuals": found["size"],
            "failed": found["size"] - found["count"],
            "mean": found["mean"],
            "best": found["max"],
            "best_so_far": found["max"].cummax().ffill(),
        }
    )


def standing(history: pd.DataFrame) -> pd.Series:
    """How good each individual is among all: by its rung, then by fitness; higher is better, NaN = failed."""
    return history["fitness"].rank() + (len(history) + 1) * history["rung"]


def importance(history: pd.DataFrame, draws: int = DRAWS, seed: int = 0) -> pd.DataFrame:
    """Spearman's correlation of each term's weight with fitness, with its 95 % bootstrap interval, highest first.

    Individuals are redrawn with their ranks, which are taken once. Those of a search are relatives, not independent
    draws: the intervals of one that has settled are too narrow, those of random weights are right.

    Args:
        history: as `read_history` gives it.
        draws: of the bootstrap.
        seed: of the bootstrap.

    Returns:
        Columns term, correlation, low, high; NaN for a weight that never varied and where fewer than four
        individuals have a fitness.
    """
    scored = history[history["fitness"].notna()]
    terms = [name for name in history.columns if name not in FOUND]
    found = np.full((3, len(terms)), np.nan)
    if len(scored) >= 4:
        ranks = rankdata(np.column_stack([standing(scored), scored[terms]]).astype(float), axis=0)
        ranks -= ranks.mean(axis=0)  # what never varies becomes exactly 0
        random = np.random.default_rng(seed)
        counts = random.multinomial(len(ranks), np.full(len(ranks), 1 / len(ranks)), size=draws)
        found[0] = _correlations(np.ones((1, len(ranks))), ranks)[0]
        redrawn = _correlations(counts.astype(float), ranks)
        # A redraw in which a weight happens not to vary says nothing of it.
        varied = ~np.isnan(redrawn).all(axis=0)
        found[1:, varied] = np.nanquantile(redrawn[:, varied], [0.025, 0.975], axis=0)
    table = pd.DataFrame({"term": terms, "correlation": found[0], "low": found[1], "high": found[2]})
    return table.sort_values(["correlation", "term"], ascending=[False, True], ignore_index=True)


def _correlations(counts: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """Pearson's correlation of the first column with the others, for rows taken (draws, rows) times."""
    shares = counts / counts.sum(axis=1, keepdims=True)
    mean, square = shares @ ranks, shares @ np.square(ranks)
    product = shares @ (ranks[:, :1] * ranks[:, 1:])
    variance = square - np.square(mean)
    with np.errstate(divide="ignore", invalid="ignore"):
        correlation = (product - mean[:, :1] * mean[:, 1:]) / np.sqrt(variance[:, :1] * variance[:, 1:])
    # Sums of squares leave rounding where nothing varies.
    flat = (variance[:, 1:] < 1e-9) | (variance[:, :1] < 1e-9)
    return np.where(flat, np.nan, np.clip(correlation, -1, 1))


def _measured_jobs(run: Path) -> dict[str, list[tuple[str, Path]]]:
    """Per generation the folders of jobs whose time was measured, relative to it, and where that stands."""
    found: dict[str, list[tuple[str, Path]]] = {}
    for path in (run / "benchmarks" / "try_weights").glob("search_*.tsv"):
        generation, rung, seed, job = path.stem.split("_")[1:]
        found.setdefault(generation, []).append((folder(int(rung), int(seed), int(job)), path))
    return found


def _seconds(generation: Path, table: pd.DataFrame, jobs: list[tuple[str, Path]]) -> dict[int, float]:
    """Seconds of each individual's trials; those that shared a job have equal parts of its time.

    Jobs of an earlier layout may have left their files: of each rung and seed an individual's newest job counts, and no
    rung that it did not reach.
    """
    reached = dict(zip(table["individual"], table["rung"], strict=True))
    newest: dict[tuple[int, str], tuple[float, float]] = {}
    for name, path in jobs:
        results = generation / name / "fitness.json"
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
        if not rows or not results.exists():
            continue
        made = results.stat().st_mtime
        tried = [int(one["individual"]) for one in read_json(results)["individuals"]]
        for individual in tried:
            # rung_0/seed_0, without the job.
            place = (individual, name.rpartition("/")[0])
            if made >= newest.get(place, (0.0, 0.0))[0]:
                newest[place] = (made, float(rows[-1]["s"]) / len(tried))
    found: dict[int, float] = {}
    for (individual, name), (_, seconds) in newest.items():
        if int(name.split("/")[0].removeprefix("rung_")) <= reached.get(individual, -1):
            found[individual] = found.get(individual, 0.0) + seconds
    return found
