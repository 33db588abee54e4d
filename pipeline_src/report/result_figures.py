"""Figures of the trained models: results with intervals, fitness against transfer, training curves."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from pipeline_src.report.comparison import METHOD_NAMES, entries_of, lineup_of, scores
from pipeline_src.report.drawing import (
    ACCENT,
    INK,
    LAYER_COLOURS,
    LINE,
    MARKERS,
    MUTED,
    SECOND,
    STREAM_COLOURS,
    THIRD,
    WARM,
    Panel,
    colours,
    drawn,
    wrapped,
)
from pipeline_src.report.gather import Model, RunFacts
from pipeline_src.report.phrases import listed, number, percent
from pipeline_src.report.search_findings import fitness_and_transfer
from pipeline_src.report.terms import DISTILL, Term, ordered

METHOD_COLOURS = {"kmeans": ACCENT, "linear": SECOND, "finetune": WARM, "retrieval": THIRD, "knn": INK}
FAMILY_COLOURS = {
    "reconstruct": "#8a6d1d",
    "future": "#b4531f",
    "shuffle": "#a8324a",
    "backward": "#7b4b94",
    "translate": "#444fa1",
    "align": "#1f5f8b",
    "embed": "#2f7d4f",
    DISTILL: "#8b9097",
}
MEDIAN_OF = 5
CURVED_MODELS = 12
# Of a line of an entry's name beside its result.
NAME_LETTERS = 22


def results_figure(facts: RunFacts, collection: str) -> list[Panel]:
    """Top-1 of every row with its 95 % interval, one panel per method; the dashed line is chance."""
    lineup = lineup_of(facts.protocols.summary, collection)
    evolved = set(entries_of(lineup, "evolved"))
    panels: list[Panel] = []
    for method, title in METHOD_NAMES.items():
        rows = lineup[lineup["method"] == method]
        found = {name: scores(rows, name)[method] for name in rows["entry"]}
        known = {name: s for name, s in found.items() if s.mean is not None}
        if not known:
            continue
        names = [wrapped(name, NAME_LETTERS) for name in known]
        higher = LINE * sum(name.count("\n") for name in names)
        with drawn(3.55, 0.95 + 0.24 * len(known) + higher, panels, f"results_{collection}_{method}") as drawing:
            axes, parts = drawing.axes, []
            for place, (name, s) in enumerate(known.items()):
                colour = ACCENT if name in evolved else MUTED
                mean = 100 * (s.mean or 0.0)
                if s.low is not None and s.high is not None:
                    axes.plot([100 * s.low, 100 * s.high], [place, place], color=colour, linewidth=2, alpha=0.55)
                axes.plot([mean], [place], "o", color=colour, markersize=5.5)
                parts.append(f"{name} {percent(s.mean)}")
            floor = max(s.floor for s in known.values())
            axes.axvline(100 * floor, color=WARM, linestyle=(0, (4, 2)), linewidth=1.1)
            parts.append(f"chance {percent(floor)}")
            axes.set_yticks(range(len(known)), names, linespacing=1.0)
            for name, label in zip(known, axes.get_yticklabels(), strict=True):
                label.set(color=INK, multialignment="right")
                label.set_fontweight("bold" if name in evolved else "normal")
            axes.set_ylim(len(known) - 0.4, -0.6)
            axes.set_xlim(left=0)
            axes.grid(axis="y", visible=False)
            axes.tick_params(axis="y", length=0)
            drawing.title(f"{collection}, {title}")
            axes.set_xlabel("top-1, %")
            drawing.description = f"Top-1 on {collection} by {title}, with 95 % intervals: {', '.join(parts)}."
    return panels


def fitness_against_transfer(facts: RunFacts, collection: str) -> list[Panel]:
    """Does the search's measure foretell transfer: one point per lineup entry and method; empty below four entries."""
    panels: list[Panel] = []
    found = {method: fitness_and_transfer(facts, collection, method) for method in METHOD_NAMES}
    if max(map(len, found.values()), default=0) < 4:
        return panels
    with drawn(3.55, 3.15, panels, f"fitness_and_transfer_{collection}") as drawing:
        axes, parts = drawing.axes, []
        for marker, (method, pairs) in zip(MARKERS, found.items(), strict=False):
            if pairs:
                axes.plot(
                    [p[1] for p in pairs],
                    [100 * p[2] for p in pairs],
                    marker,
                    color=METHOD_COLOURS[method],
                    label=METHOD_NAMES[method],
                )
        longest = max(found.values(), key=len)
        for place, (name, fitness, _) in enumerate(longest, 1):
            highest = max(100 * p[2] for pairs in found.values() for p in pairs if p[0] == name)
            parts.append(f"{name} has fitness {number(fitness)} and at most {highest:.1f} %")
            above: dict[str, Any] = {"xytext": (0, 5), "textcoords": "offset points"}
            axes.annotate(str(place), (fitness, highest), **above, fontsize=8, ha="center", color=MUTED)
            # Names have room in the legend only.
            axes.plot([], [], linestyle="none", label=f"{place}: {name}")
        axes.margins(0.12, 0.15)
        drawing.title(f"fitness and transfer, {collection}")
        axes.set_xlabel("fitness (higher is better)")
        axes.set_ylabel("top-1, %")
        drawing.legend(4)
        drawing.description = f"Fitness of each lineup entry against its top-1 on {collection}: {'; '.join(parts)}."
    return panels


def first_models(facts: RunFacts) -> list[Model]:
    """The models whose training curves are shown: the first seed of each entry that was trained."""
    seed = facts.settings.seeds[0]
    return [model for model in facts.models if model.seed == seed and model.steps][:CURVED_MODELS]


def raw_losses(model: Model) -> list[Panel]:
    """Raw loss of every term of one model, one panel per task family."""
    panels: list[Panel] = []
    groups: dict[str, list[Term]] = {}
    for term in ordered(model.terms):
        groups.setdefault(f"distill {term.stream}" if term.family == DISTILL else term.family, []).append(term)
    for title, terms in groups.items():
        palette = colours([term.stream for term in terms])
        with drawn(3.55, 2.6, panels, f"losses_{model.entry}_{title.replace(' ', '_')}") as drawing:
            parts = []
            for term in terms:
                steps, raw = model.curve(term.name)
                label = term.place or term.stream
                colour = LAYER_COLOURS.get(term.place, palette[term.stream])
                drawing.axes.plot(steps, raw, color=colour, linewidth=1.2, label=label)
                parts.append(f"{label} from {_short(raw[0])} to {_short(raw[-1])}")
            drawing.title(title)
            drawing.axes.set_xlabel("iteration")
            drawing.axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
            drawing.axes.set_ylabel("raw loss")
            _loss_range(drawing.axes)
            drawing.legend(3)
            drawing.description = f"Raw loss of {title} in the training of {model.entry}: {listed(parts)}."
    return panels


def relative_losses(facts: RunFacts) -> list[Panel]:
    """Every trained entry in one panel: each term's raw loss divided by its first logged value."""
    panels: list[Panel] = []
    for model in first_models(facts):
        with drawn(3.55, 2.6, panels, f"training_{model.entry}") as drawing:
            ends, named = [], set()
            for term in ordered(model.terms):
                steps, raw = model.curve(term.name)
                if raw[0] > 0:
                    ratio = _running_median(np.asarray(raw) / raw[0])
                    colour = FAMILY_COLOURS.get(term.family, STREAM_COLOURS["grey"])
                    label = None if term.family in named else term.family
                    named.add(term.family)
                    drawing.axes.plot(steps, ratio, color=colour, linewidth=1.0, alpha=0.8, label=label)
                    ends.append(float(ratio[-1]))
            drawing.axes.axhline(1, color=MUTED, linewidth=0.8)
            drawing.title(model.entry)
            drawing.axes.set_xlabel("iteration")
            drawing.axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
            drawing.axes.set_ylabel("raw loss / its start")
            drawing.axes.set_ylim(bottom=0)
            drawing.legend(3)
            below = sum(end < 1 for end in ends)
            drawing.description = (
                f"Raw losses of {model.entry} relative to their start: {below} of {len(ends)} terms end below it."
            )
    return panels


def _loss_range(axes: Axes) -> None:
    """From 0, unless all losses lie in the upper half: then their changes would be too small to see."""
    values = np.concatenate([np.asarray(line.get_ydata(), float) for line in axes.lines])
    low, high = values.min(), values.max()
    if 0 <= low < high / 2:
        axes.set_ylim(bottom=0)
    elif high - low < 0.1 * abs(high):
        middle, half = (low + high) / 2, 0.075 * abs(high)
        axes.set_ylim(middle - half, middle + half)


def _running_median(values: np.ndarray) -> np.ndarray:
    """Median of MEDIAN_OF neighbours, fewer at the ends."""
    half = MEDIAN_OF // 2
    return np.array([np.median(values[max(0, place - half) : place + half + 1]) for place in range(len(values))])


def _short(value: float) -> str:
    return f"{value:.3g}"
