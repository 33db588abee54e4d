"""Does evolving the loss pay? A whole search with everything it must beat, on the built-in world and on real video.

    python -m tests.benchmarks.science world            one piece of at most 55 minutes; again to go on
    python -m tests.benchmarks.science real             three runs, one per split; wants ../shared/data/real
    python -m tests.benchmarks.science world --table    only the tables of what is there

What is done stays in data/science and results/science; the tables are beside this file:

    {name}.csv            each row of the lineup by each method, over seeds and splits; besides them the mean of the
                          random losses, and the single term that is best on validation clips
    {name}_paired.csv     evolved minus each other row on the same clips; the interval redraws source videos
    {name}_fitness.csv    rank correlation of each fitness with the one-layer top-1 of random individuals
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy import stats

from pipeline_src.embedding.embed import embed_clips
from pipeline_src.files import read_json
from pipeline_src.networks.encoder_file import load_encoder
from pipeline_src.transfer.linear import predict_by_layer
from pipeline_src.transfer.split import labelled_vectors, rows_of, split_clips, standardised
from tests.benchmarks.science.runs import ROOT, Run, finish, runs_of, steps_of

HERE = Path(__file__).parent
METHODS = ("kmeans", "linear", "finetune", "retrieval")
EVOLVED = "evolved"
DRAWS = 10_000


def results(run: Run) -> Iterator[tuple[dict[str, Any], np.ndarray, np.ndarray]]:
    """Every result, which of its test clips are right, and their source videos."""
    collection = run.labelled
    for path in sorted(run.folder.glob(f"transfer/{collection.folder.name}/split_*/*/seed_*/*.json")):
        found = read_json(path)
        clips = split_clips(collection, found["split"])
        test = clips[clips[f"split_{found['split']}"] == "test"]
        # A network that diverged names nothing right.
        named = found["predictions"] or [None] * len(test)
        yield found, (np.array(named) == test["label"].to_numpy(str)).astype(float), test["source_video"].to_numpy(str)


def best_single(runs: list[Run]) -> str:
    """The single term with the best one-layer top-1 on validation clips, over seeds and splits."""
    singles = {entry.name for entry in runs[0].settings.lineup if entry.kind == "single"}
    known = {name: values for name, values in validation_of(runs).items() if name in singles}
    return max(known, key=lambda name: np.mean(known[name]))


def validation_of(runs: list[Run]) -> dict[str, list[float]]:
    """One-layer top-1 on validation clips of each entry, per seed and split."""
    found: dict[str, list[float]] = {}
    for run in runs:
        for result, _, _ in results(run):
            if result["method"] == "linear" and result.get("validation_top1"):
                found.setdefault(result["entry"], []).append(max(result["validation_top1"].values()))
    return found


def merged(runs: list[Run]) -> dict[str, list[str]]:
    """Rows of the tables that stand for entries: the random losses as one, and the best single term."""
    randoms = [entry.name for entry in runs[0].settings.lineup if entry.kind == "random"]
    return {"mean random": randoms, "best single": [best_single(runs)]}


def rows(runs: list[Run]) -> pd.DataFrame:
    """Mean, deviation and 95 % t-interval over seeds and splits of each entry by each method."""
    table = pd.concat([pd.read_csv(run.folder / "transfer" / "results.csv") for run in runs])
    more = [table[table["entry"].isin(names)].assign(entry=row) for row, names in merged(runs).items()]
    table = pd.concat([table, *more])
    found = []
    for (entry, method), values in table.groupby(["entry", "method"], sort=False)["top1"]:
        mean, count = values.mean(), values.count()
        reach = stats.t.ppf(0.975, count - 1) * values.std() / np.sqrt(count) if count > 1 else np.nan
        found.append(
            {
                "entry": entry,
                "method": method,
                "runs": count,
                "top1": mean,
                "deviation": values.std(),
                "low": mean - reach,
                "high": mean + reach,
            }
        )
    return pd.DataFrame(found)


def paired(runs: list[Run]) -> pd.DataFrame:
    """Evolved minus each other entry, by method: the mean over test clips, each averaged over seeds.

    The interval is a bootstrap over source videos: clips of one are not independent. `validation` is the one-layer
    top-1 on validation clips, by which the best single term is chosen.
    """
    right: dict[tuple[str, str], dict[tuple[str, str, int], list[float]]] = {}
    more = merged(runs)
    for run in runs:
        for found, values, videos in results(run):
            for row in [found["entry"], *(row for row, names in more.items() if found["entry"] in names)]:
                place = right.setdefault((row, found["method"]), {})
                for number, (value, video) in enumerate(zip(values, videos, strict=True)):
                    place.setdefault((video, run.settings.run, number), []).append(value)
    validation = validation_of(runs)
    found_rows = []
    for (entry, method), clips in right.items():
        base = right.get((EVOLVED, method), {})
        keys = sorted(base.keys() & clips.keys())
        if entry == EVOLVED or not keys:
            continue
        difference = np.array([np.mean(base[key]) - np.mean(clips[key]) for key in keys])
        low, high = bootstrap(difference, np.array([key[0] for key in keys]))
        known = validation.get(entry, [np.nan])
        found_rows.append(
            {
                "entry": entry,
                "method": method,
                "clips": len(keys),
                "evolved_minus": difference.mean(),
                "low": low,
                "high": high,
                "validation": float(np.mean(known)),
            }
        )
    return pd.DataFrame(found_rows)


def bootstrap(values: np.ndarray, groups: np.ndarray) -> tuple[float, float]:
    """95 % interval of the mean over redrawn groups."""
    names, place = np.unique(groups, return_inverse=True)
    sums, counts = np.bincount(place, values), np.bincount(place)
    drawn = np.random.default_rng(0).integers(len(names), size=(DRAWS, len(names)))
    low, high = np.quantile(sums[drawn].sum(1) / counts[drawn].sum(1), [0.025, 0.975])
    return float(low), float(high)


def individuals(run: Run) -> pd.DataFrame:
    """Random individuals: both measures of fitness, and the one-layer top-1 of their encoders on the test clips."""
    cache = ROOT / "data" / "science" / f"{run.settings.run}_individuals.csv"
    last = run.folder / "random" / f"gen_{run.settings.search.generations - 1:03d}" / "state.json"
    if cache.exists() and cache.stat().st_mtime > last.stat().st_mtime:
        return pd.read_csv(cache)
    collection = run.labelled
    clips = split_clips(collection, 1)
    rows = rows_of(collection, clips)
    test = clips["split_1"] == "test"
    found = []
    for path in sorted(run.folder.glob("random/gen_*/rung_*/seed_0/job_*/encoders/*.safetensors")):
        number = int(path.stem.removeprefix("ind_"))
        tried = read_json(path.parents[1] / "fitness.json")["individuals"]
        (own,) = (one for one in tried if one["individual"] == number)
        encoder, config = load_encoder(path)
        embed = run.settings.transfer.embed
        vectors = embed_clips(encoder, config, collection, rows, embed, torch.device("cpu"))
        data = standardised(labelled_vectors(collection, 1, clips, vectors))
        named = predict_by_layer(data, run.settings.transfer.linear, 0).labels
        measures = {"zipf": -own["zipf"]["kl"] if own["zipf"] else np.nan}
        measures["weak"] = own["weak"]["nmi"] if own["weak"] else np.nan
        top1 = float((named == clips["label"].to_numpy(str)[test]).mean())
        found.append({"generation": path.parts[-6], "individual": number, **measures, "one_layer": top1})
    table = pd.DataFrame(found)
    table.to_csv(cache, index=False, lineterminator="\n")
    return table


def correlations(runs: list[Run]) -> pd.DataFrame:
    """Spearman's rho of each measure with one-layer top-1 and with the other, and its 95 % bootstrap interval."""
    found = []
    for run in runs:
        table = individuals(run)
        for one, other in (("zipf", "one_layer"), ("weak", "one_layer"), ("zipf", "weak")):
            both = table[[one, other]].dropna().to_numpy()
            drawn = np.random.default_rng(0).integers(len(both), size=(2_000, len(both)))
            redrawn = [stats.spearmanr(both[rows]).statistic for rows in drawn]
            low, high = np.nanquantile(redrawn, [0.025, 0.975])
            rho = stats.spearmanr(both).statistic
            row = {"run": run.settings.run, "fitness": one, "with": other, "individuals": len(both)}
            found.append({**row, "spearman": rho, "low": low, "high": high})
    return pd.DataFrame(found)


def main() -> None:
    """Go on, and where all is done write the tables."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("study", choices=("world", "real"))
    options.add_argument("--minutes", type=float, default=55, help="start nothing new after this time (default: 55)")
    options.add_argument("--cores", type=int, default=2, help="of this machine (default: 2)")
    options.add_argument("--table", action="store_true", help="run nothing")
    given = options.parse_args()
    runs = runs_of(given.study)
    print(f"{given.study}: {sum(steps_of(run.settings) for run in runs):,} training steps in all", flush=True)
    if not given.table:
        finish(runs, given.minutes, given.cores)
    for name, table in (("", rows(runs)), ("_paired", paired(runs)), ("_fitness", correlations(runs))):
        table.to_csv(HERE / f"{given.study}{name}.csv", index=False, lineterminator="\n", float_format="%.4f")
        print(table.to_string(index=False, float_format=lambda value: f"{value:.3f}"), "\n", flush=True)


if __name__ == "__main__":
    main()
