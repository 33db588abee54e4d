"""Figures of the evaluation beside the table of results: retrieval, fewer labels, less of the pool, confusions."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline_src.report.comparison import METHOD_NAMES, lineup_of
from pipeline_src.report.drawing import (
    ACCENT,
    MARKERS,
    MUTED,
    OTHER_COLOURS,
    SECOND,
    THIRD,
    WEIGHTS,
    Drawing,
    Panel,
    drawn,
    widest_line,
    wrapped,
)
from pipeline_src.report.gather import RunFacts
from pipeline_src.report.phrases import percent

SHOWN_ENTRIES = 12
MOST_CLASSES = 60
# Of a line of a class's name, of which there are two at most.
CLASS_LETTERS = 30
# Inches from which on a figure is wider than a phone.
WIDE = 4.5


def recall_figure(facts: RunFacts, collection: str) -> list[Panel]:
    """Share of test clips with one of their class among the k nearest training clips."""
    table = facts.protocols.retrieval
    own = table[(table["collection"] == collection) & table["entry"].isin(_entries(facts))]
    panels: list[Panel] = []
    if own.empty:
        return panels
    lines = {str(name): rows.groupby("k")["recall"].mean() for name, rows in own.groupby("entry", sort=False)}
    ticks = sorted({float(k) for line in lines.values() for k in line.index})
    where = Axis("k nearest training clips", "k = {:g}", ticks)
    _draw(panels, f"retrieval_{collection}", f"{collection}, retrieval", "recall, %", where, lines, _evolved(facts))
    return panels


def fewer_labels_figure(facts: RunFacts, collection: str) -> list[Panel]:
    """Top-1 by the number of labelled training clips, one panel per method; the last point has all labels."""
    panels: list[Panel] = []
    fewer, counted = facts.protocols.fewer_labels_summary, facts.protocols.fewer_labels
    for method in dict.fromkeys(fewer["method"]):
        own, counts, whole, all_counts = (
            table[(table["collection"] == collection) & (table["method"] == method)]
            for table in (fewer, counted, facts.protocols.summary, facts.results)
        )
        both = pd.concat([own, whole.assign(labels="all")], ignore_index=True).dropna(subset=["mean"])
        both = both[both["entry"].isin(_entries(facts))]
        if own.empty or both.empty:
            continue
        # Splits differ a little in their clips: points of one budget belong together.
        sizes = counts[counts["labelled_clips"] > 0].groupby("labels")["labelled_clips"].mean().to_dict()
        sizes["all"] = all_counts.loc[all_counts["train_clips"] > 0, "train_clips"].mean()
        both["size"] = both["labels"].map(sizes)
        points = {str(name): rows.set_index("size").sort_index() for name, rows in both.groupby("entry", sort=False)}
        lines = {name: rows["mean"] for name, rows in points.items()}
        where = Axis("labelled training clips", "{:.0f} clips", sorted({float(size) for size in both["size"]}))
        title = f"{collection}, {METHOD_NAMES[method]} from fewer labels"
        name = f"fewer_labels_{collection}_{method}"
        _draw(panels, name, title, "top-1, %", where, lines, _evolved(facts), intervals=points)
    return panels


def pool_figure(facts: RunFacts, collection: str) -> list[Panel]:
    """Top-1 by the part of the pool that was learned from; empty where no entry had a part only."""
    panels: list[Panel] = []
    lineup = lineup_of(facts.protocols.summary, collection)
    parts = [entry for entry in facts.settings.lineup if entry.pool_fraction < 1]
    for method in METHOD_NAMES:
        means = lineup[lineup["method"] == method].set_index("entry")["mean"]
        lines: dict[str, pd.Series] = {}
        for part in parts:
            loss = (part.kind, part.term, part.settings)
            alike = [e for e in facts.settings.lineup if (e.kind, e.term, e.settings) == loss]
            fixed = f"{part.term or part.kind}, as many {part.pool_fixed}"
            same = [e for e in alike if e.pool_fraction == 1 or e.pool_fixed == part.pool_fixed]
            values = {100 * e.pool_fraction: means[e.name] for e in same if e.name in means.index}
            lines[fixed] = pd.Series(values).sort_index().dropna()
        lines = {name: line for name, line in lines.items() if len(line) > 1}
        if not lines:
            continue
        title = f"{collection}, {METHOD_NAMES[method]}"
        _draw(panels, f"pool_{collection}_{method}", title, "top-1, %", Axis("part of the pool, %", "{:.0f} %"), lines)
    return panels


def confusion_figure(facts: RunFacts, collection: str) -> list[Panel]:
    """How test clips of each class were named; empty for sets with too many classes to read."""
    panels: list[Panel] = []
    found = facts.protocols.confusions.get(collection)
    if found is None or len(found.classes) > MOST_CLASSES or not found.counts.any():
        return panels
    names = [wrapped(name, CLASS_LETTERS, lines=2) for name in found.classes]
    side = 1.1 + widest_line(names) + 0.27 * len(names)
    with drawn(side, side, panels, f"confusion_{collection}", wide=side > WIDE) as drawing:
        axes, shares = drawing.axes, found.counts / np.maximum(1, found.counts.sum(1, keepdims=True))
        axes.pcolormesh(shares, cmap=WEIGHTS, vmin=0, vmax=1, edgecolors="#ffffff", linewidth=0.6)
        places = np.arange(len(found.classes)) + 0.5
        axes.set_yticks(places, names, linespacing=1.0, multialignment="right")
        axes.set_xticks(places, names, linespacing=1.0, multialignment="right", rotation=90)
        axes.invert_yaxis()
        axes.grid(False)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        for (row, column), share in np.ndenumerate(shares):
            if len(found.classes) <= 20 and share >= 0.05:
                colour = "#ffffff" if share > 0.55 else "#22262b"
                axes.text(column + 0.5, row + 0.5, f"{100 * share:.0f}", ha="center", va="center_baseline",
                          color=colour, fontsize=7)  # fmt: skip
        axes.set_xlabel("named")
        axes.set_ylabel("true")
        drawing.title(f"{collection}, {found.entry}, 1-layer")
        right = ", ".join(f"{name} {percent(shares[i, i])}" for i, name in enumerate(found.classes))
        wrong = "; ".join(f"{a} as {b} {percent(share)}" for a, b, share in found.most_confused(5))
        drawing.description = (
            f"Confusions of {found.entry} on {collection}. Named rightly: {right}. Most often: {wrong}."
        )
    return panels


def _entries(facts: RunFacts) -> list[str]:
    return [entry.name for entry in facts.settings.lineup][:SHOWN_ENTRIES]


def _evolved(facts: RunFacts) -> set[str]:
    return {entry.name for entry in facts.settings.lineup if entry.kind == "evolved"}


@dataclass(frozen=True)
class Axis:
    """What lies along x: its title, how a place is told, and ticks of a logarithmic scale (none: a linear one)."""

    title: str
    place: str
    ticks: Sequence[float] = ()


def _draw(
    panels: list[Panel],
    name: str,
    title: str,
    value: str,
    where: Axis,
    lines: Mapping[str, pd.Series],
    bold: Collection[str] = (),
    intervals: Mapping[str, pd.DataFrame] | None = None,
) -> None:
    """Add a panel of shares by place, a line for each name, and where there are some its low and high."""
    palette = (SECOND, THIRD, *OTHER_COLOURS, MUTED)
    with drawn(3.55, 3.3, panels, name) as drawing:
        for number, (entry, line) in enumerate(lines.items()):
            colour = ACCENT if entry in bold else palette[number % len(palette)]
            if intervals:
                bars = intervals[entry][["low", "high"]].dropna()
                drawing.axes.vlines(bars.index, 100 * bars["low"], 100 * bars["high"], color=colour, alpha=0.45)
            drawing.axes.plot(
                line.index,
                100 * line,
                color=colour,
                linewidth=2.4 if entry in bold else 1.2,
                marker=MARKERS[number % len(MARKERS)],
                zorder=3 if entry in bold else 2,
                label=entry,
            )
        if where.ticks:
            _log_ticks(drawing, where.ticks)
        drawing.axes.set_ylim(bottom=0)
        drawing.axes.set_xlabel(where.title)
        drawing.axes.set_ylabel(value)
        drawing.title(title)
        drawing.legend(2)
        told = (
            f"{entry} " + ", ".join(f"{percent(share)} at {where.place.format(x)}" for x, share in line.items())
            for entry, line in lines.items()
        )
        drawing.description = f"{title}, {value.removesuffix(', %')}: {'; '.join(told)}."


def _log_ticks(drawing: Drawing, values: Sequence[float]) -> None:
    """Ticks at the values themselves, but for those that would touch their neighbour."""
    drawing.axes.set_xscale("log")
    shown: list[float] = []
    for value in values:
        if not shown or value > shown[-1] * (values[-1] / values[0]) ** 0.08:
            shown.append(value)
    drawing.axes.set_xticks(shown, [f"{value:.0f}" for value in shown])
    drawing.axes.minorticks_off()
