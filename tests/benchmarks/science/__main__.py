"""Does evolving the loss pay? A whole search with everything it must beat, on the built-in world and on real video.

    python -m tests.benchmarks.science world            one piece of at most 55 minutes; again to go on
    python -m tests.benchmarks.science real             three runs, one per split; wants ../shared/data/real
    python -m tests.benchmarks.science world --table    only shows what is there; writes it once all is

What is done stays in data/science and results/science; the tables are beside this file:

    {name}.csv            each row of the lineup by each method, over seeds and splits; besides them the random losses
                          together, and the single term that is best on validation clips
    {name}_paired.csv     evolved minus each other row on the same clips; low to high as in the report, whose intervals
                          hold for other trainings, too; drawn_low to drawn_high is the bootstrap over source videos
    {name}_searches.csv   mean and best fitness of every generation, of the search and of that by random weights
    {name}_controls.csv   fitness of the controls: uniform weights, each term alone, an untrained network, pixels
    {name}_weights.csv    what both searches came to: the weights of evolved and of the best of random
    {name}_fitness.csv    rank correlation of each fitness with the one-layer top-1 of random individuals
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy import stats

from pipeline_src.embedding.embed import embed_clips
from pipeline_src.evolution.history import generation_of
from pipeline_src.files import read_json
from pipeline_src.networks.encoder_file import load_encoder
from pipeline_src.stages import command
from pipeline_src.transfer.linear import predict_by_layer
from pipeline_src.transfer.results import kinds_of
from pipeline_src.transfer.split import labelled_vectors, rows_of, split_clips, standardised
from pipeline_src.transfer.summaries import Row, paired_table, rows_of_lineup, summary_table
from tests.benchmarks.science.runs import (
    ROOT,
    Run,
    answers_of_runs,
    finish,
    missing,
    results_of,
    runs_of,
    show,
    steps_of,
)

HERE = Path(__file__).parent
EVOLVED, BEST_SINGLE = "evolved", "best single"


def validation_of(runs: list[Run]) -> pd.Series:
    """One-layer top-1 on validation clips, mean over splits of that over seeds; of entries with one on every split."""
    found = [
        (result["entry"], run.settings.run, result["split"], max(result["validation_top1"].values()))
        for run in runs
        for _, result in results_of(run)
        if result["method"] == "linear" and result.get("validation_top1")
    ]
    table = pd.DataFrame(found, columns=["entry", "run", "split", "top1"])
    return table.groupby(["run", "split", "entry"])["top1"].mean().unstack("entry").mean(skipna=False)


def tables(runs: list[Run]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Means of every row with intervals, and evolved minus every other row on the same clips.

    The single term that is best on validation clips is a row besides, once one has results on every split;
    `validation` is what it was chosen by.
    """
    lineup, validation = runs[0].settings.lineup, validation_of(runs).dropna()
    singles = validation[validation.index.isin([entry.name for entry in lineup if entry.kind == "single"])]
    found = answers_of_runs(runs)
    if len(singles):
        best = singles.idxmax()
        found += [replace(answers, entry=BEST_SINGLE) for answers in found if answers.entry == best]
        validation[BEST_SINGLE] = validation[best]
    # Evolved first: a row is held against those behind it.
    rows = rows_of_lineup(found, {EVOLVED: "evolved", **kinds_of(lineup), BEST_SINGLE: "single"})
    summary, paired = summary_table(rows), paired_table(rows)
    paired = paired[paired["entry"] == EVOLVED].reset_index(drop=True)
    return summary.assign(validation=summary["entry"].map(validation)), paired.join(bootstrapped(paired, rows))


def bootstrapped(paired: pd.DataFrame, rows: list[Row]) -> pd.DataFrame:
    """95 % percentile intervals of the lines of `paired`, from source videos drawn with replacement for both rows."""
    named = {(row.method, row.entry): row for row in rows}
    found = []
    for line in paired.itertuples():
        one, other = named[line.method, line.entry], named[line.method, line.other]
        common = one.videos_by_split.keys() & other.videos_by_split.keys()
        ours, theirs = one.accuracy_on(common), other.accuracy_on(common)
        assert ours is not None
        assert theirs is not None
        tested = np.flatnonzero(ours.clips)
        drawn = np.random.default_rng(0).multinomial(len(tested), np.full(len(tested), 1 / len(tested)), 10_000)
        gaps = drawn @ (ours.right - theirs.right)[tested] / (drawn @ ours.clips[tested])
        found.append(np.quantile(gaps, [0.025, 0.975]))
    return pd.DataFrame(found, columns=["drawn_low", "drawn_high"], index=paired.index).round(6)


def last_state(run: Run, search: str = "random") -> Path:
    """What a search ends with: the one by random weights, unless another is named."""
    return run.folder / search / f"gen_{run.settings.search.generations - 1:03d}" / "state.json"


def controls_file(run: Run) -> Path:
    """The fitness of the controls of a search."""
    return run.folder / "search" / "controls.json"


def files_of(run: Run) -> list[Path]:
    """What the tables are made of."""
    return [*run.result_files, run.folder / "search" / "individuals.csv", controls_file(run), last_state(run)]


def searched(run: Run) -> bool:
    """Whether that search is over."""
    return last_state(run).exists() and run.index.exists()


def searches(runs: list[Run]) -> pd.DataFrame:
    """How fitness went in both searches of each run, of those that are over."""
    found = []
    for run in filter(searched, runs):
        for search in ("search", "random"):
            for path in sorted(run.folder.glob(f"{search}/gen_*/generation.csv"), key=generation_of):
                fitness = pd.read_csv(path)["fitness"]
                row = {"run": run.settings.run, "search": search, "generation": generation_of(path)}
                found.append({**row, "individuals": len(fitness), "mean": fitness.mean(), "best": fitness.max()})
    return pd.DataFrame(found)


def controls(runs: list[Run]) -> pd.DataFrame:
    """Fitness of the controls of each run, of those that are there."""
    found = []
    for run in runs:
        if controls_file(run).exists():
            for name, control in read_json(controls_file(run))["controls"].items():
                found.append({"run": run.settings.run, "control": name, "fitness": control["fitness"]})
    return pd.DataFrame(found)


def winners(runs: list[Run]) -> pd.DataFrame:
    """The weights that both searches of each run came to, of those that are over."""
    found = []
    for run in runs:
        for search in ("search", "random"):
            if last_state(run, search).exists():
                best = read_json(last_state(run, search))["best"]
                row = {"run": run.settings.run, "search": search, "generation": best["generation"]}
                found.append({**row, "fitness": best["fitness"], **best["weights"]})
    return pd.DataFrame(found)


def individuals(run: Run) -> pd.DataFrame:
    """Random individuals: both measures of fitness, and the one-layer top-1 of their encoders on the test clips."""
    cache = ROOT / "data" / "science" / f"{run.settings.run}_individuals.csv"
    if cache.exists() and cache.stat().st_mtime > last_state(run).stat().st_mtime:
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
    """Spearman's rho of each measure with one-layer top-1 and with the other, and its 95 % bootstrap interval.

    Runs whose search by random weights is not over are left out.
    """
    found = []
    for run in filter(searched, runs):
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
        finish(runs, given.minutes, given.cores, files_of)
    summary, paired = tables(runs)
    lacking = missing(runs)
    lacking += [f"{run.settings.run}: the search by random weights is not over" for run in runs if not searched(run)]
    lacking += [f"{run.settings.run}: the controls are not tried" for run in runs if not controls_file(run).exists()]
    found = {"": summary, "_paired": paired, "_searches": searches(runs), "_controls": controls(runs)}
    found |= {"_weights": winners(runs), "_fitness": correlations(runs)}
    show({HERE / f"{given.study}{name}.csv": table for name, table in found.items()}, lacking)


if __name__ == "__main__":
    command.run(main)
