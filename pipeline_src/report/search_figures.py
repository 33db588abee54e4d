"""Figures of the search: weights over generations, the final weights, fitness."""

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from pipeline_src.report.drawing import (
    ACCENT,
    INK,
    LAYER_COLOURS,
    MARKERS,
    MUTED,
    SECOND,
    WARM,
    Drawing,
    Panel,
    colours,
    drawn,
    heat_map,
    spread,
)
from pipeline_src.report.gather import RunFacts
from pipeline_src.report.phrases import listed, number
from pipeline_src.report.search_findings import measure_name, measured, weak_measure
from pipeline_src.report.terms import PLACES, Term, distillations, families, ordered

POINTS, CROWD = 2000, 200


def generation_weights(facts: RunFacts) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Weights by generation and term: those of the best individual (NaN where all failed), and the mean of all."""
    number = facts.individuals["generation"]
    first = facts.weights[(facts.individuals["rank"] == 1)].set_axis(
        number[facts.individuals["rank"] == 1], axis="index"
    )
    alive = facts.individuals.groupby("generation")["fitness"].count() > 0
    return first.where(alive, axis="index"), facts.weights.groupby(number).mean()


def task_weights(facts: RunFacts) -> list[Panel]:
    """Weights of every task over the generations, one panel per task family (the paper's Fig. 8)."""
    panels: list[Panel] = []
    for family, terms in families(ordered(facts.weights.columns)).items():
        palette = colours([term.stream for term in terms])
        lines = {term: (term.stream, palette[term.stream]) for term in terms}
        _weight_panel(facts, panels, f"task_weights_{family}", family, lines)
    return panels


def distillation_weights(facts: RunFacts) -> list[Panel]:
    """Weights of every distillation over the generations, one panel per teacher (the paper's Fig. 6)."""
    panels: list[Panel] = []
    for teacher, terms in distillations(ordered(facts.weights.columns)).items():
        lines = {term: (term.place, LAYER_COLOURS.get(term.place, MUTED)) for term in terms}
        _weight_panel(facts, panels, f"distillation_weights_{teacher}", f"{teacher} into rgb", lines)
    return panels


def weights_map(facts: RunFacts) -> list[Panel]:
    """Weights of each generation's best individual, and of the evolved loss, as a heat-map (the paper's Fig. 3)."""
    best, _ = generation_weights(facts)
    terms = ordered(best.columns)
    shown = spread(len(best))
    values = best.iloc[shown][[term.name for term in terms]].to_numpy(float).T
    labels = [str(best.index[place]) for place in shown]
    if facts.best is not None:
        final = np.array([[facts.best["weights"][term.name]] for term in terms])
        values = np.hstack([values, np.full_like(final, np.nan), final])
        labels += ["", "evolved"]
    panels: list[Panel] = []
    width = 1.7 + min(max(0.42 * len(labels), 1.6), 5.3)
    with drawn(width, 0.6 + 0.165 * len(terms), panels, "weights_over_generations", wide=width > 4) as drawing:
        axes = drawing.axes
        heat_map(axes, values, [term.name for term in terms], labels, numbers=len(labels) <= 12)
        for text in axes.texts:
            text.set_fontsize(6.5)
        for place in range(1, len(terms)):
            if terms[place].family != terms[place - 1].family:
                axes.hlines(place, 0, len(shown), color=MUTED, linewidth=0.9)
                if facts.best is not None:
                    axes.hlines(place, len(shown) + 1, len(shown) + 2, color=MUTED, linewidth=0.9)
        if len(labels) > 24:
            step = math.ceil(len(shown) / 10)
            places = [*range(0, len(shown), step), *([len(labels) - 1] if facts.best else [])]
            axes.set_xticks([place + 0.5 for place in places], [labels[place] for place in places])
        axes.tick_params(axis="y", labelsize=7.5)
        axes.set_xlabel("generation (its best individual)")
        drawing.description = (
            f"Heat-map of {len(terms)} weights between 0 and 1 over {len(best)} generations, for the best individual of"
            " each"
            + (
                ", and in a column of its own for the evolved loss. " + _highest(facts.best["weights"])
                if facts.best
                else "."
            )
        )
    return panels


def final_weights(facts: RunFacts) -> list[Panel]:
    """The evolved loss: modalities and pairs by task, distillation by layer (the paper's Fig. 7)."""
    panels: list[Panel] = []
    if facts.best is None:
        return panels
    terms, weights = ordered(facts.weights.columns), facts.best["weights"]
    tasks = [term for found in families(terms).values() for term in found]
    groups = (
        ("final_weights_tasks", "tasks of one modality", [t for t in tasks if not t.pair]),
        ("final_weights_pairs", "tasks of two modalities", [t for t in tasks if t.pair]),
    )
    for name, title, chosen in groups:
        if chosen:
            columns = list(dict.fromkeys(t.family for t in chosen))
            _final_panel(panels, name, title, chosen, [t.family for t in chosen], columns, weights)
    distilled = [term for found in distillations(terms).values() for term in found]
    if distilled:
        columns = [place for place in PLACES if any(t.place == place for t in distilled)]
        columns += [p for p in dict.fromkeys(t.place for t in distilled) if p not in columns]
        places = [t.place for t in distilled]
        _final_panel(panels, "final_weights_distillation", "distillation into rgb", distilled, places, columns, weights)
    return panels


def fitness_curve(facts: RunFacts) -> list[Panel]:
    """Every individual's fitness by generation, the best so far, and the controls; one panel per measure taken."""
    panels: list[Panel] = []
    used = facts.settings.fitness.measure
    for measure in (used, *(other for other in ("zipf", "weak") if other != used)):
        if facts.individuals[measure].notna().any():
            _fitness_panel(facts, panels, measure, searched=measure == used)
    return panels


def _weight_panel(
    facts: RunFacts, panels: list[Panel], name: str, title: str, lines: dict[Term, tuple[str, str]]
) -> None:
    best, mean = generation_weights(facts)
    shown = spread(len(best))
    best, mean = best.iloc[shown], mean.iloc[shown]
    last = []
    with drawn(3.55, 2.75, panels, name) as drawing:
        for place, (term, (label, colour)) in enumerate(lines.items()):
            marker = MARKERS[place % len(MARKERS)] if len(best) <= 25 else ""
            drawing.axes.plot(best.index, best[term.name], color=colour, marker=marker, label=label, clip_on=False)
            drawing.axes.plot(mean.index, mean[term.name], color=colour, linestyle=(0, (1, 2)), linewidth=1.1)
            last.append(f"{label} {number(float(best[term.name].iloc[-1]), 2)}")
        drawing.title(title)
        drawing.axes.set_ylim(0, 1)
        _generations(drawing, len(facts.individuals["generation"].unique()))
        drawing.axes.set_ylabel("weight")
        drawing.legend(3)
        drawing.description = (
            f"Line chart, {title}: weights over {len(facts.individuals['generation'].unique())} generations."
            f" In the best individual of the last one: {listed(last)}."
        )


def _final_panel(
    panels: list[Panel],
    name: str,
    title: str,
    terms: list[Term],
    places: list[str],
    columns: list[str],
    weights: dict[str, float],
) -> None:
    rows = list(dict.fromkeys(term.stream for term in terms))
    values = np.full((len(rows), len(columns)), np.nan)
    for term, place in zip(terms, places, strict=True):
        values[rows.index(term.stream), columns.index(place)] = weights[term.name]
    with drawn(3.55, 0.75 + 0.36 * len(rows), panels, name) as drawing:
        heat_map(drawing.axes, values, rows, columns, numbers=True)
        drawing.title(title)
        drawing.axes.tick_params(axis="x", labelsize=7.5)
        parts = [f"{term.name} {number(weights[term.name], 2)}" for term in terms]
        drawing.description = f"Heat-map of the evolved loss, {title}: {', '.join(parts)}."


def _fitness_panel(facts: RunFacts, panels: list[Panel], measure: str, *, searched: bool) -> None:
    everyone = facts.individuals
    ok = everyone["fitness"].notna()
    values, numbers = everyone[measure], everyone["generation"]
    name = measure_name(measure, weak_measure(facts))
    with drawn(3.55, 3.15, panels, f"fitness_{measure}") as drawing:
        axes = drawing.axes
        chosen = np.flatnonzero((ok & values.notna()).to_numpy())
        chosen = chosen[spread(len(chosen), POINTS)]
        size, alpha = (4.0, 0.55) if len(chosen) <= CROWD else (2.2, 0.3)
        dots: dict[str, Any] = {"markersize": size, "alpha": alpha, "markeredgewidth": 0, "color": ACCENT}
        axes.plot(numbers.iloc[chosen], values.iloc[chosen], "o", **dots, label="individual")
        best = values.where(ok & (everyone["rung"] == everyone["rung"].max())).groupby(numbers).max()
        if searched:
            axes.step(best.index, best.cummax(), where="mid", color=INK, linewidth=1.3, label="best so far")
        mean = values.where(ok).groupby(numbers).mean()
        axes.plot(mean.index, mean, color=ACCENT, linestyle=(0, (1, 2)), linewidth=1.2, label="mean of a generation")
        marks = []
        styles = (
            (SECOND, (0, (5, 2))),
            (WARM, (0, (3, 1.5, 1, 1.5))),
            (MUTED, (0, (2, 2))),
            (MUTED, (0, (6, 1))),
            (WARM, (0, (1, 1))),
            (SECOND, (0, (1, 2))),
            (INK, (0, (1, 3))),
        )
        for (control, value), (colour, style) in zip(measured(facts, measure).items(), styles, strict=False):
            axes.axhline(value, color=colour, linestyle=style, linewidth=1.2, label=control)
            marks.append(f"{control} {number(value)}")
        failed = numbers[~ok].unique()
        if searched and len(failed):
            axes.plot(
                failed,
                np.full(len(failed), 0.02),
                "x",
                color=WARM,
                transform=axes.get_xaxis_transform(),
                label="failed",
            )
        drawing.title(name + (" (searched)" if searched else " (reported only)"))
        axes.set_ylabel({"zipf": "minus KL, nats", "weak": "agreement", "mix": "weighted sum"}[measure])
        _generations(drawing, len(numbers.unique()))
        drawing.legend(2)
        drawing.description = (
            f"{name} of {len(everyone)} individuals over {len(best)} generations: best of generation 0"
            f" {number(float(best.iloc[0]))}, best of all {number(float(best.max()))}"
            + (f"; controls: {listed(marks)}." if marks else ".")
        )


def _generations(drawing: Drawing, count: int) -> None:
    drawing.axes.set_xlabel("generation")
    drawing.axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    drawing.axes.set_xlim(-0.35 if count > 1 else -0.5, count - 0.65 if count > 1 else 0.5)


def _highest(weights: dict[str, float]) -> str:
    order = sorted(weights, key=lambda term: -weights[term])
    high, low = (listed([f"{t} {number(weights[t], 2)}" for t in part]) for part in (order[:3], order[-3:]))
    return f"Its highest are {high}; its lowest {low}."
