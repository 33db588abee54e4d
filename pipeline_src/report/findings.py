"""What the results say, in sentences computed from the numbers; a result that disappoints is said first."""

from dataclasses import dataclass, field

import pandas as pd

from pipeline_src.report.comparison import (
    METHOD_NAMES,
    METHODS,
    Comparison,
    compare,
    entries_of,
    lineup_of,
    rivals,
    scores,
)
from pipeline_src.report.gather import RunFacts
from pipeline_src.report.phrases import listed, percent, several, whole
from pipeline_src.report.verdicts import Finding, against_rivals, details_of, headline_of
from pipeline_src.transfer.baselines import FRAME_COUNT

NAMED_CLASSES = 10


@dataclass(frozen=True)
class CollectionFindings:
    """What the results on one labelled collection say.

    Attributes:
        name: the collection.
        headline: evolved against the random loss.
        details: the same by method, with numbers.
        sentences: everything else.
        comparisons: per rival, its label and the comparison by method (None where there is none).
    """

    name: str
    headline: Finding
    details: list[str]
    sentences: list[Finding]
    comparisons: list[tuple[str, list[Comparison | None]]] = field(default_factory=list)


def transfer_findings(facts: RunFacts) -> list[CollectionFindings]:
    """Findings for every collection in the results."""
    tables = facts.protocols.summary, facts.protocols.paired, facts.results
    return [
        _collection(name, *(table[table["collection"] == name] for table in tables))
        for name in dict.fromkeys(facts.protocols.summary["collection"])
    ]


def limits(facts: RunFacts) -> list[Finding]:
    """What the numbers of this run cannot say."""
    found = []
    seeds = len(facts.settings.seeds)
    if seeds == 1:
        found.append(
            Finding(
                "Every entry was trained with a single seed. How much a result changes from one training to the next"
                " was not measured and is in no interval: differences within it can’t be told apart, and larger ones"
                " may still be luck of the seed. The setting “seeds” trains more.",
                "bad",
            )
        )
    else:
        found.append(
            Finding(
                f"Every entry was trained with {seeds} seeds; ± is the deviation over seeds and splits. Intervals hold"
                " the luck of the test videos and of the seeds, but not that of the labelled training clips."
            )
        )
    found.append(
        Finding(
            "The search was run once. A weight that makes no difference to fitness drifts freely, so that a single"
            " weight, high or low, is no evidence about its task."
        )
    )
    weak = facts.settings.fitness.weak
    if weak is not None and weak.collection in facts.settings.transfer.collections:
        used = "reports, but does not use," if facts.settings.fitness.measure == "zipf" else "chose the weights by"
        found.append(
            Finding(
                f"The search {used} agreement with training labels of {weak.collection}, on which the results are also"
                " measured; its test labels are never read."
            )
        )
    return [*found, *_overlaps(facts)]


def _overlaps(facts: RunFacts) -> list[Finding]:
    found = []
    for name, splits in facts.overlap.items():
        for split, counts in splits.items():
            shared = counts["shared_source_videos"]
            where = f"{name}, {split.replace('_', ' ')}"
            if any(shared.values()):
                parts = [f"{count} of its {part} part" for part, count in shared.items() if count]
                found.append(
                    Finding(
                        f"{where}: the pool shares {listed(parts)} by source video, though no test clip.",
                        "bad",
                    )
                )
            both = counts["source_videos_in_train_and_test"]
            if both:
                found.append(
                    Finding(
                        f"{where}: {several(both, 'source video')} stand on both sides of the split, which makes every"
                        " top-1 on it too high.",
                        "bad",
                    )
                )
    if not found and facts.overlap:
        found.append(
            Finding(
                f"The pool shares no clip and no source video with {listed(sorted(facts.overlap))}, and no source video"
                " stands on both sides of a split."
            )
        )
    return found


def _collection(name: str, summary: pd.DataFrame, paired: pd.DataFrame, results: pd.DataFrame) -> CollectionFindings:
    lineup = lineup_of(summary, name)
    evolved = entries_of(summary, "evolved")
    if not evolved:
        text = f"On {name}, the lineup has no entry of kind evolved, so there is nothing to compare."
        return CollectionFindings(name, Finding(text, "bad"), [], _known(lineup, results))
    ours = evolved[0]
    others = rivals(summary, ours)
    compared = {rival.label: compare(summary, paired, ours, rival) for rival in others}
    random = next((rival for rival in others if rival.random), None)
    against_random = compared[random.label] if random else []
    sentences = against_rivals([r for r in others if not r.random], compared)
    sentences += _known(lineup, results)
    table = []
    for rival in others:
        by_method = {item.method: item for item in compared[rival.label]}
        table.append((rival.label, [by_method.get(method) for method in METHODS]))
    headline = headline_of(name, scores(summary, ours), random.methods if random else (), against_random)
    return CollectionFindings(name, headline, [details_of(item) for item in against_random], sentences, table)


def _chance(lineup: pd.DataFrame) -> list[Finding]:
    near: dict[str, list[str]] = {}
    unknown: dict[str, list[str]] = {}
    trained = lineup[lineup["kind"] != "baseline"]
    for name in dict.fromkeys(trained["entry"]):
        for method, found in scores(lineup, name).items():
            if found.near_chance:
                near.setdefault(method, []).append(name)
            elif found.low is None:
                unknown.setdefault(method, []).append(name)
    if trained["low"].isna().all():
        return []
    chance = f"chance ({percent(lineup['floor'].max())}, the larger of guessing and of naming the most frequent class)"
    if near:
        text = f"Within the interval of {chance}: {_by_method(near)}. Such results say nothing."
        return [Finding(text, "bad")]
    if unknown:
        text = (
            f"Every trained entry is above {chance} wherever it has an interval; it has none by {_by_method(unknown)}."
        )
        return [Finding(text)]
    return [Finding(f"Every trained entry is above {chance} by every method.")]


def _by_method(names: dict[str, list[str]]) -> str:
    return "; ".join(f"{METHOD_NAMES[method]}: {listed(own)}" for method in METHODS if (own := names.get(method)))


def _failed(lineup: pd.DataFrame) -> list[Finding]:
    broken = lineup[lineup["failed"] > 0]
    if broken.empty:
        return []
    count, names = int(broken["failed"].sum()), listed(list(dict.fromkeys(broken["entry"])))
    left_out = "is in no mean and no comparison" if count == 1 else "are in no mean and no comparison"
    return [Finding(f"{several(count, 'evaluation')} gave no result and {left_out}: {names}.", "bad")]


def _known(lineup: pd.DataFrame, results: pd.DataFrame) -> list[Finding]:
    """What limits every row of a collection, evolved or not."""
    return _chance(lineup) + _failed(lineup) + _unseen(results) + _baselines(lineup)


def _unseen(results: pd.DataFrame) -> list[Finding]:
    """Test clips whose class no training clip has, by split."""
    found = []
    for split, rows in results[results["unseen_clips"] > 0].groupby("split"):
        clips, of, names = rows.iloc[0][["unseen_clips", "test_clips", "unseen_classes"]]
        shown = [*names[:NAMED_CLASSES], *([f"{len(names) - NAMED_CLASSES} more"] if names[NAMED_CLASSES:] else [])]
        found.append(
            Finding(
                f"Split {split:.0f}: {whole(clips)} of {several(of, 'test clip')} belong to classes without a training"
                f" clip ({listed(shown)}) and count as wrong, so that no top-1 can exceed {percent(1 - clips / of)}.",
                "bad",
            )
        )
    return found


def _baselines(lineup: pd.DataFrame) -> list[Finding]:
    """Whether something trivial already gives the classes away."""
    frames = scores(lineup, FRAME_COUNT)
    above = [
        f"{METHOD_NAMES[method]} {percent(found.mean)}"
        for method, found in frames.items()
        if found.low is not None and not found.near_chance
    ]
    if not above:
        return []
    return [
        Finding(
            f"The number of frames of a clip alone is above chance ({listed(above)}): part of every top-1 here may be"
            " clip length.",
            "bad",
        )
    ]
