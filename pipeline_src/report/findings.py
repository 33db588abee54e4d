"""What the results say, in sentences computed from the numbers; a result that disappoints is said first."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import pandas as pd

from pipeline_src.report.comparison import (
    METHOD_NAMES,
    METHODS,
    Comparison,
    Rival,
    Score,
    compare,
    entries_of,
    lineup_of,
    rivals,
    scores,
)
from pipeline_src.report.gather import RunFacts
from pipeline_src.report.phrases import listed, number, percent, points, several, whole
from pipeline_src.transfer.baselines import FRAME_COUNT
from pipeline_src.transfer.intervals import FEWEST_VIDEOS

NAMED_CLASSES = 10
Tone = Literal["good", "bad", "plain"]


@dataclass(frozen=True)
class Finding:
    """One sentence or two; `bad` is what a reader must not overlook."""

    text: str
    tone: Tone = "plain"


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
    random = next((compared[rival.label] for rival in others if rival.random), [])
    sentences = _against([r for r in others if not r.random], compared)
    sentences += _known(lineup, results)
    table = []
    for rival in others:
        by_method = {item.method: item for item in compared[rival.label]}
        table.append((rival.label, [by_method.get(method) for method in METHODS]))
    headline = _headline(name, scores(summary, ours), random)
    return CollectionFindings(name, headline, [_details(item) for item in random], sentences, table)


def _headline(name: str, ours: dict[str, Score], random: Sequence[Comparison]) -> Finding:
    """Evolved against random, over all methods."""
    if not any(score.mean is not None for score in ours.values()):
        return Finding(f"On {name}, the evolved loss has no result: every evaluation failed.", "bad")
    if not random:
        return Finding(f"On {name}, there is no result of a random loss to hold the evolved loss against.", "bad")
    won = [METHOD_NAMES[item.method] for item in random if item.verdict == "better"]
    lost = [METHOD_NAMES[item.method] for item in random if item.verdict == "worse"]
    if len(won) == len(random):
        return Finding(f"On {name}, the evolved loss beats the random loss by every method.", "good")
    worse = f", and is worse by {listed(lost)}" if lost else ""
    if won:
        return Finding(f"On {name}, the evolved loss beats the random loss by {listed(won)} only{worse}.", "plain")
    if len(lost) == len(random):
        return Finding(
            f"On {name}, the evolved loss does not beat the random loss: it is worse by every method.", "bad"
        )
    if lost:
        return Finding(f"On {name}, the evolved loss does not beat the random loss by any method{worse}.", "bad")
    if any(item.verdict == "too few source videos" for item in random):
        return Finding(
            f"On {name}, it cannot be said whether the evolved loss beats the random loss: its test clips are of fewer"
            f" than {FEWEST_VIDEOS} source videos.",
            "bad",
        )
    higher = sum(item.gap > 0 for item in random)
    how = {
        0: "it is not higher by any method",
        len(random): "it is higher by every method, but no more than noise gives",
    }
    text = how.get(higher, f"it is higher by {higher} of {len(random)} methods, and no more than noise gives")
    return Finding(f"On {name}, the evolved loss does not beat the random loss: {text}.", "bad")


def _details(item: Comparison) -> str:
    interval = f", 95 % interval {points(item.low)} to {points(item.high)}, p {_p(item.p)}" if item.p else ""
    return (
        f"{METHOD_NAMES[item.method]}: {percent(item.ours)} against {percent(item.against)}, {points(item.gap)}"
        f" points{interval}: {item.verdict}."
    )


def _p(value: float) -> str:
    return "below 0.001" if value < 0.001 else number(value)


def _against(others: Sequence[Rival], compared: dict[str, list[Comparison]]) -> list[Finding]:
    """Rivals other than random, those with the same outcome by every method together."""
    same: dict[str, list[Rival]] = {
        "worse": [],
        "within noise": [],
        "better": [],
        "too few source videos": [],
    }
    mixed = []
    for rival in others:
        verdicts = {item.verdict for item in compared[rival.label]}
        if len(verdicts) == 1:
            same[verdicts.pop()].append(rival)
        elif verdicts:
            mixed.append(rival)
    texts = {
        "worse": ("Evolved is worse, by every method, than {}.", "bad"),
        "within noise": ("No difference beyond noise, by any method, between evolved and {}.", "bad"),
        "better": ("Evolved is better, by every method, than {}.", "good"),
        "too few source videos": ("Too few source videos for a verdict on evolved against {}.", "plain"),
    }
    found = []
    for verdict, (text, tone) in texts.items():
        if same[verdict]:
            found.append(Finding(text.format(listed([r.label for r in same[verdict]])), tone))  # type: ignore[arg-type]
    for rival in mixed:
        parts = [f"{METHOD_NAMES[i.method]} {i.verdict} ({points(i.gap)})" for i in compared[rival.label]]
        lost = any(item.verdict == "worse" for item in compared[rival.label])
        found.append(Finding(f"Evolved against {rival.label}: {listed(parts)}.", "bad" if lost else "plain"))
    if any(rival.chosen_by_test for rival in others):
        found.append(Finding("The best single term was picked, for each method, by its test result, which favours it."))
    return found


def _chance(lineup: pd.DataFrame) -> list[Finding]:
    near: dict[str, list[str]] = {}
    trained = lineup[lineup["kind"] != "baseline"]
    for name in dict.fromkeys(trained["entry"]):
        for method, found in scores(lineup, name).items():
            if found.near_chance:
                near.setdefault(method, []).append(name)
    if trained["low"].isna().all():
        return []
    chance = f"chance ({percent(lineup['floor'].max())}, the larger of guessing and of naming the most frequent class)"
    if not near:
        return [Finding(f"Every trained entry is above {chance} by every method.")]
    parts = [f"{METHOD_NAMES[method]}: {listed(names)}" for method, names in near.items()]
    return [Finding(f"Within the interval of {chance}: {'; '.join(parts)}. Such results say nothing.", "bad")]


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
