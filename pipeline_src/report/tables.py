"""Rows of the page's tables, as text."""

from dataclasses import dataclass
from statistics import stdev
from typing import Any

import pandas as pd

from pipeline_src.report.comparison import METHODS, Comparison, Score, against, entries_of, lineup_of, rivals, scores
from pipeline_src.report.gather import ClipSet, Model, RunFacts, measure_of
from pipeline_src.report.paper import DISTILLED, EARLY, LATE, OBSERVATIONS
from pipeline_src.report.phrases import listed, number, percent
from pipeline_src.report.protocols import shown_entry
from pipeline_src.report.search_findings import CONTROL_NAMES, weak_measure
from pipeline_src.report.terms import ordered

KINDS = {
    "evolved": "best weights of the search",
    "evolved_without_distillation": "evolved, distillation weights set to 0",
    "evolved_permuted": "evolved weights dealt to the terms at random",
    "best_of_random": "best of as many random weights as the search tried",
    "random": "weights drawn at random",
    "uniform": "every weight 1",
    "single": "one term",
    "upper_bound": "an upper bound, learned from labels",
    "scratch": "no pretraining",
    "pretrained": "weights from elsewhere",
    "baseline": "no network",
}
SHOWN_FAILURES = 50
LAST_STEPS = 5


@dataclass(frozen=True)
class ResultRow:
    """A row of the results table: its name, what it is, and the score by method (None = not evaluated)."""

    entry: str
    kind: str
    about: str
    cells: list[Score | None]
    best: list[bool]


@dataclass(frozen=True)
class FitnessRow:
    """A control or a lineup entry under the search's own measure; text per column."""

    name: str
    about: str
    status: str
    reason: str
    values: list[str]


@dataclass(frozen=True)
class LossRow:
    """A term in a model's training: weight, mean raw loss of the first and last logged steps, and the change."""

    entry: str
    term: str
    weight: float
    first: float
    last: float

    @property
    def change(self) -> str:
        """Last against first in percent."""
        return "–" if self.first == 0 else f"{number(100 * (self.last / self.first - 1), 0)} %"


def results_table(summary: pd.DataFrame, terms: dict[str, str]) -> list[ResultRow]:
    """Rows of one collection in the lineup's order, baselines last.

    The best mean of each column, of rows with a result on every split, is marked.

    Args:
        summary: of one collection, as `lineup_of` gives it.
        terms: the term of every single entry.
    """
    names = list(dict.fromkeys(summary["entry"]))
    found = {name: scores(summary, name) for name in names}
    whole = [(m, s.mean) for own in found.values() for m, s in own.items() if s.mean is not None and not s.partial]
    top = {method: max(mean for own, mean in whole if own == method) for method in {own for own, _ in whole}}
    rows = []
    for name in names:
        kind = summary.loc[summary["entry"] == name, "kind"].iloc[0]
        cells = [found[name].get(method) for method in METHODS]
        best = [
            c is not None and (m, c.mean) in top.items() and not c.partial for c, m in zip(cells, METHODS, strict=True)
        ]
        about = f"only {terms[name]}" if name in terms else KINDS.get(kind, kind)
        rows.append(ResultRow(name, kind, about, cells, best))
    return rows


def floors(summary: pd.DataFrame) -> list[float | None]:
    """Per method, what needs no features in one collection: chance, or the most frequent class where that is more."""
    largest = summary.groupby("method")["floor"].max()
    return [float(largest[method]) if method in largest.index else None for method in METHODS]


def fitness_columns(facts: RunFacts) -> list[str]:
    """Headings of the fitness table's values."""
    weak = weak_measure(facts)
    names = {
        "nmi": "NMI with classes",
        "ari": "adjusted Rand with classes",
        "accuracy": "accuracy with classes",
    }
    return ["fitness", "KL from Zipf (nats)", *([names[weak]] if weak else []), "effective rank", "stability"]


def fitness_table(facts: RunFacts) -> list[FitnessRow]:
    """Controls first, then every lineup entry, averaged over its seeds."""
    rows = [
        _fitness_row(facts, CONTROL_NAMES.get(name, name), "control", [content])
        for name, content in facts.controls.items()
    ]
    for entry in facts.settings.lineup:
        contents = [model.fitness for model in facts.models if model.entry == entry.name]
        about = f"only {entry.term}" if entry.term else KINDS.get(entry.kind, entry.kind)
        rows.append(_fitness_row(facts, entry.name, about, contents))
    return rows


def failed_individuals(individuals: pd.DataFrame) -> list[dict[str, object]]:
    """Generation, number, status and reason of the first that failed."""
    failed = individuals[individuals["fitness"].isna()].sort_values(["generation", "individual"])
    return failed[["generation", "individual", "status", "reason"]].head(SHOWN_FAILURES).to_dict("records")  # type: ignore[return-value]


def loss_table(models: list[Model]) -> list[LossRow]:
    """Every weighted term of every model: raw loss at the start and at the end of training."""
    rows = []
    for model in models:
        for term in ordered(model.terms):
            _, raw = model.curve(term.name)
            count = min(LAST_STEPS, max(1, len(raw) // 2))
            first, last = sum(raw[:count]) / count, sum(raw[-count:]) / count
            rows.append(LossRow(model.entry, term.name, float(model.weights.get(term.name, 0.0)), first, last))
    return rows


def paper_weights(weights: dict[str, float]) -> list[tuple[str, str, str, str]]:
    """What the paper says of the weights that this run's evolved loss also has: terms, said, source, found here."""
    rows = []
    for seen in OBSERVATIONS:
        own = [f"{number(weights[term], 2)}" for term in seen.terms if term in weights]
        if own:
            rows.append((listed(seen.terms), seen.said, seen.source, listed(own)))
    for teacher, when in DISTILLED.items():
        early, late = (
            [weights[t] for place in places if (t := f"distill.{teacher}.{place}") in weights]
            for places in (EARLY, LATE)
        )
        if early and late:
            values = (sum(early) / len(early), sum(late) / len(late))
            here = f"mean {number(values[0], 2)} in layers 1–2, {number(values[1], 2)} later"
            rows.append((f"distill.{teacher}.*", f"distilled {when}", "Fig. 6", here))
    return rows


def clip_counts(collections: list[ClipSet]) -> tuple[list[str], list[dict[str, object]]]:
    """Statuses that occur, and per collection: planned, usable, clips without sound (None = not extracted), counts."""
    statuses = sorted({status for found in collections for status in found.failed["status"]})
    rows: list[dict[str, object]] = []
    for found in collections:
        index = found.index
        silent = index["usable"] - index["with_sound"] if "audio" in index["modalities"] else None
        counts = found.failed["status"].value_counts()
        rows.append(
            {
                "name": found.name,
                "planned": index["planned"],
                "usable": index["usable"],
                "silent": silent,
                "counts": [int(counts.get(status, 0)) for status in statuses],
            }
        )
    return statuses, rows


def cell(found: Score | None) -> str:
    """Mean and deviation as text."""
    if found is None:
        return "–"
    if found.mean is None:
        return "failed"
    return percent(found.mean) if found.sd is None else f"{100 * found.mean:.1f} ± {100 * found.sd:.1f} %"


def _fitness_row(facts: RunFacts, name: str, about: str, contents: list[dict[str, Any]]) -> FitnessRow:
    weak = weak_measure(facts)
    columns: list[tuple[int, list[float | None]]] = [
        (3, [content.get("fitness") for content in contents]),
        (3, [(content.get("zipf") or {}).get("kl") for content in contents]),
        *([(3, [measure_of(content, "weak", weak) for content in contents])] if weak else []),
        (1, [content.get("effective_rank") for content in contents]),
        (2, [content.get("stability") for content in contents]),
    ]
    statuses = [str(content.get("status", "")) for content in contents]
    counted = {status: statuses.count(status) for status in statuses}
    return FitnessRow(
        name=name,
        about=about,
        status=statuses[0] if len(counted) == 1 else listed([f"{count} {s}" for s, count in counted.items()]),
        reason="; ".join(dict.fromkeys(str(c["reason"]) for c in contents if c.get("reason"))),
        values=[_averaged(values, digits) for digits, values in columns],
    )


def _averaged(values: list[float | None], digits: int) -> str:
    """Mean, and deviation of several; what has no value is left out."""
    known = [float(value) for value in values if value is not None]
    if not known:
        return "–"
    mean = number(sum(known) / len(known), digits)
    return mean if len(known) == 1 else f"{mean} ± {number(stdev(known), digits)}"


@dataclass(frozen=True)
class PairedRow:
    """The shown entry minus another row by each method (None = not evaluated)."""

    other: str
    cells: list[Comparison | None]


def paired_rows(facts: RunFacts, collection: str) -> list[PairedRow]:
    """The shown entry against every other row, but for those that the findings hold the evolved loss against."""
    summary, paired, ours = facts.protocols.summary, facts.protocols.paired, shown_entry(facts.settings)
    own, pairs = summary[summary["collection"] == collection], paired[paired["collection"] == collection]
    told = rivals(own, ours) if ours in entries_of(own, "evolved") else []
    alone = {row for rival in told if not rival.chosen_by_test for row in rival.rows.values()}
    rows = []
    for name in dict.fromkeys(lineup_of(own, collection)["entry"]):
        found = against(own, pairs, ours, name)
        if found and name not in alone:
            rows.append(PairedRow(name, [found.get(method) for method in METHODS]))
    return rows


@dataclass(frozen=True)
class ProbeRow:
    """Means over seeds and splits: top-1 by probe; of speeds, their scores and how they rank (None = not known)."""

    entry: str
    top1: dict[str, float | None]
    rank_correlation: float | None
    scores: list[float | None]


PROBED = ("motion", "overlap", "order", "speed")
PROBED_SPEEDS = ("0.5x", "1x", "2x", "4x")


def probe_rows(facts: RunFacts, collection: str) -> list[ProbeRow]:
    """What embeddings tell about time; the first row is chance."""
    table = facts.protocols.probes
    own = table[table["collection"] == collection]
    if own.empty:
        return []
    means = own.groupby(["entry", "probe", "measure"])["value"].mean()

    def value(entry: str, probe: str, measure: str) -> float | None:
        return float(means[entry, probe, measure]) if (entry, probe, measure) in means.index else None

    chances = own[own["measure"] == "chance"].groupby("probe")["value"].mean()
    rows = [ProbeRow("chance", {name: chances.get(name) for name in PROBED}, None, [None] * len(PROBED_SPEEDS))]
    for entry in dict.fromkeys(own["entry"]):
        rows.append(
            ProbeRow(
                str(entry),
                {name: value(entry, name, "top1") for name in PROBED},
                value(entry, "speed", "rank_correlation"),
                [value(entry, "speed", f"score at {speed}") for speed in PROBED_SPEEDS],
            )
        )
    return rows
