"""Evolved against the random loss and against other rows, in sentences; only methods with a result of both count."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pipeline_src.report.comparison import METHOD_NAMES, Comparison, Rival, Score
from pipeline_src.report.phrases import listed, number, percent, points
from pipeline_src.transfer.intervals import FEWEST_VIDEOS

Tone = Literal["good", "bad", "plain"]
# By what every comparison with a rival comes to.
OUTCOMES: dict[str, tuple[str, Tone]] = {
    "worse": ("Evolved is worse, by every method, than {}.", "bad"),
    "within noise": ("No difference beyond noise, by any method, between evolved and {}.", "bad"),
    "better": ("Evolved is better, by every method, than {}.", "good"),
    "too few source videos": ("Too few source videos for a verdict on evolved against {}.", "plain"),
    "too few seeds left": ("Too few seeds gave a result for a verdict on evolved against {}.", "plain"),
    "nothing": ("No method has a result of both evolved and {}.", "plain"),
}


@dataclass(frozen=True)
class Finding:
    """One sentence or two; `bad` is what a reader must not overlook."""

    text: str
    tone: Tone = "plain"


def headline_of(name: str, ours: dict[str, Score], methods: Sequence[str], random: Sequence[Comparison]) -> Finding:
    """Evolved against random, over all methods that ought to have a result."""
    if not any(score.mean is not None for score in ours.values()):
        return Finding(f"On {name}, the evolved loss has no result: every evaluation failed.", "bad")
    if not random:
        return Finding(f"On {name}, there is no result of a random loss to hold the evolved loss against.", "bad")
    every, rest = _by_every(methods, random)
    won = [METHOD_NAMES[item.method] for item in random if item.verdict == "better"]
    lost = [METHOD_NAMES[item.method] for item in random if item.verdict == "worse"]
    if len(won) == len(random):
        failed = any(ours[method].mean is None for method in methods)
        tone: Tone = "bad" if failed else "plain" if rest or any(item.partial for item in random) else "good"
        return Finding(f"On {name}, the evolved loss beats the random loss by {every}.", tone)
    worse = f", and is worse by {listed(lost)}" if lost else ""
    if won:
        return Finding(
            f"On {name}, the evolved loss beats the random loss by {listed(won)} only{worse}.{rest}", "plain"
        )
    if len(lost) == len(random):
        return Finding(f"On {name}, the evolved loss does not beat the random loss: it is worse by {every}.", "bad")
    if lost:
        return Finding(f"On {name}, the evolved loss does not beat the random loss by any method{worse}.{rest}", "bad")
    doubts = {item.verdict for item in random}
    for doubt, why in (
        ("too few source videos", f"its test clips are of fewer than {FEWEST_VIDEOS} source videos"),
        ("too few seeds left", "of the seeds of a row, fewer than two gave a result"),
    ):
        if doubt in doubts:
            text = f"On {name}, it cannot be said whether the evolved loss beats the random loss: {why}.{rest}"
            return Finding(text, "bad")
    higher = sum(item.gap > 0 for item in random)
    how = {
        0: "it is not higher by any method",
        len(random): f"it is higher by {every}, but no more than noise gives",
    }
    text = how.get(higher, f"it is higher by {higher} of {len(random)} methods, and no more than noise gives")
    after = "" if higher == len(random) else rest
    return Finding(f"On {name}, the evolved loss does not beat the random loss: {text}.{after}", "bad")


def _by_every(methods: Sequence[str], items: Sequence[Comparison]) -> tuple[str, str]:
    """“Every method” as far as there are results of both rows, and a sentence on methods without; "" for none."""
    compared = [item.method for item in items]
    missing = [METHOD_NAMES[method] for method in methods if method not in compared]
    if not missing:
        return "every method" + _partly(items), ""
    only = "the only method" if len(compared) == 1 else "the only methods"
    every = f"{listed([METHOD_NAMES[method] for method in compared])}, {only} with a result of both{_partly(items)}"
    return every, f" By {listed(missing)}, one of the two has no result."


def _partly(items: Sequence[Comparison]) -> str:
    return ", on the splits that both have a result of" if any(item.partial for item in items) else ""


def details_of(item: Comparison) -> str:
    """Both means, their difference with its interval, and the verdict."""
    interval = f", 95 % interval {points(item.low)} to {points(item.high)}, p {_p(item.p)}" if item.p else ""
    where = f" on {item.splits} of {item.all_splits} splits" if item.partial else ""
    return (
        f"{METHOD_NAMES[item.method]}: {percent(item.ours)} against {percent(item.against)}{where}, {points(item.gap)}"
        f" points{interval}: {item.verdict}."
    )


def _p(value: float) -> str:
    return "below 0.001" if value < 0.001 else number(value)


def against_rivals(others: Sequence[Rival], compared: dict[str, list[Comparison]]) -> list[Finding]:
    """Rivals other than random, those with the same outcome by every method on every split together."""
    same: dict[str, list[Rival]] = {verdict: [] for verdict in OUTCOMES}
    mixed = []
    for rival in others:
        items = compared[rival.label]
        verdicts = {item.verdict for item in items}
        everywhere = len(items) == len(rival.methods) and not any(item.partial for item in items)
        if not items:
            same["nothing"].append(rival)
        elif len(verdicts) == 1 and everywhere:
            same[verdicts.pop()].append(rival)
        else:
            mixed.append(rival)
    found = []
    for verdict, (text, tone) in OUTCOMES.items():
        if same[verdict]:
            found.append(Finding(text.format(listed([rival.label for rival in same[verdict]])), tone))
    for rival in mixed:
        items = compared[rival.label]
        parts = [f"{METHOD_NAMES[i.method]} {i.verdict} ({points(i.gap)})" for i in items]
        _, rest = _by_every(rival.methods, items)
        lost = any(item.verdict == "worse" for item in items)
        text = f"Evolved against {rival.label}{_partly(items)}: {listed(parts)}.{rest}"
        found.append(Finding(text, "bad" if lost else "plain"))
    if any(rival.chosen_by_test for rival in others):
        found.append(
            Finding(
                "The best single term was picked, for each method, by its test result, which favours it, among those"
                " with a result on every split."
            )
        )
    return found
