"""When to trust the Zipf fitness: its value on features of known kind, in three built-in worlds.

    python -m tests.benchmarks.zipf          makes the worlds under data/zipf, and the table beside this file

The fitness rewards clusters whose sizes follow Zipf's law. It says nothing of what they are clusters of: that they are
classes rather than backgrounds is so where classes follow the law and backgrounds do not.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline_src.fitness.controls import control_features, measured_features
from pipeline_src.fitness.score import score
from pipeline_src.settings.search import FitnessSettings
from pipeline_src.shards.index import Collection
from tests.benchmarks.learn.data import ROOT, make_pool

TABLE = Path(__file__).with_name("zipf.csv")
VIDEOS = 960
WORLDS = {
    "Zipf classes": {"classes": "zipf", "backgrounds": "uniform"},
    "uniform classes": {"classes": "uniform", "backgrounds": "uniform"},
    "Zipf backgrounds": {"classes": "uniform", "backgrounds": "zipf"},
}
DIMENSIONS = 32
# Of the features around their class's centre, whose length is 1: clusters overlap little.
DEVIATION = 0.1
SEEDS = range(10)


def world(name: str) -> tuple[Collection, pd.DataFrame]:
    """The pool of a world, and what each of its clips shows."""
    folder = ROOT / "data" / "zipf" / name.replace(" ", "_")
    source: dict[str, Any] = {"kind": "world", "videos": VIDEOS, "size": 48, "seconds": [1.0, 1.6], **WORLDS[name]}
    if not (folder / "pool" / "index.json").exists():
        make_pool(folder, source, seed=0, modalities=["rgb", "audio"])
    pool = Collection.open(folder / "pool" / "index.json")
    truth = pd.read_csv(folder / "pool" / "world" / "truth.csv", index_col="path")
    return pool, truth.loc[pool.clips["source_video"]]


def separating(labels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Features that tell labels apart and nothing else: orthogonal centres and normal noise, (clips, D)."""
    centres = np.linalg.qr(random.standard_normal((DIMENSIONS, DIMENSIONS)))[0]
    numbers = np.unique(labels, return_inverse=True)[1]
    return np.asarray(centres[numbers] + DEVIATION * random.standard_normal((len(labels), DIMENSIONS)))


def features(truth: pd.DataFrame, measured: dict[str, np.ndarray], seed: int) -> dict[str, np.ndarray]:
    """Features by kind; those measured from the clips are the same for every seed."""
    random = np.random.default_rng(seed)
    empty = control_features(len(truth), DIMENSIONS, seed)
    return {
        "separate classes": separating(truth["class"].to_numpy(str), random),
        "separate backgrounds": separating(truth["background"].to_numpy(str), random),
        "collapsed": empty["constant"],
        "random": empty["gaussian"],
        "raw pixels": measured["raw_pixels"],
        "length, brightness, contrast, loudness": measured["nuisance"],
    }


def main() -> None:
    """Print and write the table: mean and deviation over seeds of the fitness, and what the guards refuse."""
    settings = FitnessSettings()
    rows = []
    for name in WORLDS:
        pool, truth = world(name)
        measured = measured_features(pool, np.arange(len(truth)))
        found: dict[str, list[dict[str, Any]]] = {}
        for seed in SEEDS:
            for kind, vectors in features(truth, measured, seed).items():
                found.setdefault(kind, []).append(score(vectors, settings, seed))
        for kind, results in found.items():
            values = [one["fitness"] for one in results if one["fitness"] is not None]
            refused = sorted({one["status"] for one in results if one["fitness"] is None})
            stable = [one["stability"] for one in results if one["stability"] is not None]
            rows.append(
                {
                    "world": name,
                    "features": kind,
                    "seeds": len(results),
                    "fitness": np.mean(values) if values else None,
                    "deviation": np.std(values, ddof=1) if len(values) > 1 else None,
                    "refused": len(results) - len(values),
                    "as": " ".join(refused),
                    "effective_rank": np.mean([one["effective_rank"] for one in results]),
                    "stability": np.mean(stable) if stable else None,
                }
            )
    table = pd.DataFrame(rows)
    table.to_csv(TABLE, index=False, lineterminator="\n", float_format="%.4f")
    print(table.to_string(index=False, float_format=lambda value: f"{value:.3f}"))


if __name__ == "__main__":
    main()
