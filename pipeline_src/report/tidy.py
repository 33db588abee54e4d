"""Every number of the page as tidy tables: one row per observation, plain column names, fractions as such."""

from dataclasses import asdict, fields
from typing import Any

import pandas as pd

from pipeline_src.report.benchmarks import cost_per_stage
from pipeline_src.report.comparison import Comparison
from pipeline_src.report.findings import transfer_findings
from pipeline_src.report.gather import RunFacts
from pipeline_src.report.search_findings import CONTROL_NAMES, correlations


def tidy_tables(facts: RunFacts) -> dict[str, pd.DataFrame]:
    """Tables by name; those of a run's folder (results, summary, paired, ...) are not repeated.

    comparisons   evolved minus each row of the findings by each method: difference, 95 % interval, p, verdict
    correlations  of the measures of fitness, and of fitness and top-1
    confusions    test clips of each class by the class that they were named
    fitness       of controls and trained networks, per seed
    losses        every logged step of every training by term
    splits        test clips, classes and chance of each split, and what its training lacks
    overlap       what the pool shares with each part of a split, and the split with itself
    clips         planned, usable and failed clips of each collection by outcome
    costs         jobs of each stage: seconds, processor time, memory
    """
    return {
        "comparisons": _comparisons(facts),
        "correlations": correlations(facts),
        "confusions": _confusions(facts),
        "fitness": _fitness(facts),
        "losses": _losses(facts),
        "splits": _splits(facts),
        "overlap": _overlap(facts),
        "clips": _clips(facts),
        "costs": pd.DataFrame([asdict(cost) for cost in cost_per_stage(facts.jobs)]),
    }


def _comparisons(facts: RunFacts) -> pd.DataFrame:
    rows = [
        {"collection": found.name, "other": label, **asdict(item), "verdict": item.verdict}
        for found in transfer_findings(facts)
        for label, items in found.comparisons
        for item in items
        if item is not None
    ]
    columns = ["collection", "other", *(field.name for field in fields(Comparison)), "verdict"]
    return pd.DataFrame(rows, columns=columns)


def _confusions(facts: RunFacts) -> pd.DataFrame:
    rows = [
        (name, found.entry, true, named, int(found.counts[i, j]))
        for name, found in facts.protocols.confusions.items()
        for i, true in enumerate(found.classes)
        for j, named in enumerate(found.classes)
    ]
    return pd.DataFrame(rows, columns=["collection", "entry", "true", "named", "clips"])


def _fitness(facts: RunFacts) -> pd.DataFrame:
    rows: list[tuple[str, str, int | None, dict[str, Any]]]
    rows = [("control", CONTROL_NAMES.get(name, name), None, content) for name, content in facts.controls.items()]
    rows += [("entry", model.entry, model.seed, model.fitness) for model in facts.models]
    found = []
    for about, name, seed, content in rows:
        zipf, weak = content.get("zipf") or {}, content.get("weak") or {}
        found.append(
            {
                "about": about,
                "name": name,
                "seed": seed,
                "status": content.get("status"),
                "reason": content.get("reason"),
                "fitness": content.get("fitness"),
                "kl": zipf.get("kl"),
                **{measure: weak.get(measure) for measure in ("nmi", "ari", "accuracy")},
                "effective_rank": content.get("effective_rank"),
                "stability": content.get("stability"),
            }
        )
    return pd.DataFrame(found).astype({"seed": "Int64"})


def _losses(facts: RunFacts) -> pd.DataFrame:
    rows = [
        (model.entry, model.seed, step["iteration"], term, value["raw"], value["scaled"], value["weight"])
        for model in facts.models
        for step in model.steps
        for term, value in step["terms"].items()
    ]
    return pd.DataFrame(rows, columns=["entry", "seed", "iteration", "term", "raw", "scaled", "weight"])


def _splits(facts: RunFacts) -> pd.DataFrame:
    columns = ["collection", "split", "test_clips", "classes", "chance", "majority", "unseen_clips", "unseen_classes"]
    found = facts.results.dropna(subset=["test_clips"]).drop_duplicates(["collection", "split"])[columns]
    return found.assign(
        unseen_classes=["; ".join(names) for names in found["unseen_classes"]],
        highest_top1=1 - found["unseen_clips"] / found["test_clips"],
    ).astype({"test_clips": "Int64", "classes": "Int64", "unseen_clips": "Int64"})


def _overlap(facts: RunFacts) -> pd.DataFrame:
    rows = []
    for name, splits in facts.overlap.items():
        for split, counts in splits.items():
            own = (name, int(split.removeprefix("split_")))
            rows += [(*own, "clips of the pool", part, count) for part, count in counts["shared_clips"].items()]
            shared = counts["shared_source_videos"].items()
            rows += [(*own, "source videos of the pool", part, count) for part, count in shared]
            rows.append((*own, "source videos of train and test", "", counts["source_videos_in_train_and_test"]))
    return pd.DataFrame(rows, columns=["collection", "split", "shared", "part", "count"])


def _clips(facts: RunFacts) -> pd.DataFrame:
    rows = []
    for found in facts.collections:
        counts = {"planned": found.index["planned"], "usable": found.index["usable"]}
        counts |= {str(status): int(clips) for status, clips in found.failed["status"].value_counts().items()}
        rows += [(found.name, outcome, int(clips)) for outcome, clips in counts.items()]
    return pd.DataFrame(rows, columns=["collection", "outcome", "clips"])
