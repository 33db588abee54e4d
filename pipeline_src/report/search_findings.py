"""What the search and its controls say: did fitness rise, and does it measure anything."""

import pandas as pd

from pipeline_src.report.comparison import METHOD_NAMES, lineup_of
from pipeline_src.report.correlation import rank_correlation
from pipeline_src.report.gather import RunFacts, measure_of
from pipeline_src.report.paper import CORRELATION
from pipeline_src.report.phrases import listed, number, several
from pipeline_src.report.verdicts import Finding

CONTROL_NAMES = {
    "uniform": "uniform weights",
    "untrained": "untrained network",
    "raw_pixels": "raw pixels",
    "nuisance": "recording conditions",
    "constant": "constant vectors",
    "gaussian": "random vectors",
    "noise": "random vectors",
}
EMPTY = ("constant", "gaussian", "noise")
ALONE = "only "


def measure_name(measure: str, weak_measure: str | None) -> str:
    """How a fitness measure is called on the page."""
    if measure == "zipf":
        return "Zipf fitness"
    if measure == "mix":
        return "mixed fitness"
    return {"nmi": "weak fitness (NMI)", "ari": "weak fitness (adjusted Rand)"}.get(
        weak_measure or "", "weak fitness (accuracy)"
    )


def weak_measure(facts: RunFacts) -> str | None:
    """Which agreement with classes was taken; None for none."""
    weak = facts.settings.fitness.weak
    return weak.measure if weak else None


def search_findings(facts: RunFacts) -> list[Finding]:
    """Whether fitness improved over the generations, and who failed."""
    found = [_failures(facts.individuals)]
    if facts.best is None:
        return [Finding("No individual of the search got a fitness.", "bad"), *found]
    return [_progress(facts, facts.best), *found]


def fitness_findings(facts: RunFacts) -> list[Finding]:
    """What the controls say about the measure that the search maximised."""
    ok = facts.finalists["fitness"]
    found = []
    if len(ok):
        for control in facts.controls:
            if not control.startswith(ALONE):
                found.append(_control(facts, control, ok))
        found.extend(_terms_alone(facts, ok))
    correlated = correlations(facts)
    return [*found, *_measures_agree(facts, correlated), *_fitness_and_transfer(correlated)]


def entry_fitness(facts: RunFacts) -> dict[str, float]:
    """Mean fitness over seeds of every lineup entry that has one for each of them."""
    found: dict[str, list[float | None]] = {}
    for model in facts.models:
        found.setdefault(model.entry, []).append(model.fitness.get("fitness"))
    means = {}
    for entry, values in found.items():
        known = [value for value in values if value is not None]
        if known and len(known) == len(values):
            means[entry] = sum(known) / len(known)
    return means


def fitness_and_transfer(facts: RunFacts, collection: str, method: str) -> list[tuple[str, float, float]]:
    """Entry, fitness and mean top-1 of every entry that has both, the latter on every split."""
    lineup, fitness = lineup_of(facts.protocols.summary, collection), entry_fitness(facts)
    own = lineup[(lineup["method"] == method) & lineup["entry"].isin(list(fitness))]
    known = own[own["mean"].notna() & (own["splits"] == own["all_splits"])]
    return [(e, fitness[e], float(mean)) for e, mean in zip(known["entry"], known["mean"], strict=True)]


def correlations(facts: RunFacts) -> pd.DataFrame:
    """Rank correlations that the page tells: of the two measures of fitness, and of fitness and mean top-1.

    Returns:
        fitness (zipf, or the search's), with (weak, or top1), collection and method of the latter ("" for the former),
        over (individuals or entries), count, spearman (NaN with fewer than four, or where one side is constant).
    """
    both = facts.finalists[["zipf", "weak"]].dropna()
    rho = rank_correlation(both["zipf"].tolist(), both["weak"].tolist())
    rows: list[tuple[object, ...]] = [("zipf", "weak", "", "", "individuals", len(both), rho)]
    for collection in dict.fromkeys(facts.protocols.summary["collection"]):
        for method in METHOD_NAMES:
            pairs = fitness_and_transfer(facts, collection, method)
            rho = rank_correlation([p[1] for p in pairs], [p[2] for p in pairs])
            rows.append((facts.settings.fitness.measure, "top1", collection, method, "entries", len(pairs), rho))
    columns = ["fitness", "with", "collection", "method", "over", "count", "spearman"]
    return pd.DataFrame(rows, columns=columns).astype({"spearman": float})


def _progress(facts: RunFacts, best: dict[str, object]) -> Finding:
    everyone = facts.individuals
    generations = facts.settings.search.generations
    by_generation = facts.finalists.groupby("generation")["fitness"]
    means = by_generation.mean()
    first = int(means.index[0])
    first_best = by_generation.max()[first]
    top = float(best["fitness"])  # type: ignore[arg-type]
    if generations == 1:
        return Finding(
            f"The search had one generation, {_first(facts, 0)}: nothing evolved. The best of its"
            f" {several(len(everyone), 'individual')} has fitness {number(top)}.",
            "bad",
        )
    mean = f"The mean of a generation went from {number(means.iloc[0])} to {number(means.iloc[-1])}."
    if best["generation"] == first:
        return Finding(
            f"Fitness did not improve: the best individual ({number(top)}) is from generation {first},"
            f" {_first(facts, first)}. What this page calls evolved is the best of its"
            f" {several(facts.settings.search.population_of(first), 'individual')}."
            f" {mean}",
            "bad",
        )
    text = (
        f"The best fitness rose from {number(first_best)} in generation {first}, {_first(facts, first)}, to"
        f" {number(top)} in generation {best['generation']}. {mean}"
    )
    noise = _noise(facts)
    if noise is not None and top - first_best < noise:
        text += (
            f" The rise of {number(top - first_best)} nats is smaller than the estimate’s own noise, about"
            f" {number(noise)} nats."
        )
        return Finding(text, "bad")
    return Finding(text, "good")


def _first(facts: RunFacts, generation: int) -> str:
    """What the first generation with a success is."""
    if generation:
        return "the first in which an individual succeeded"
    search = facts.settings.search
    drawn = search.strategy in ("tournament", "random") and search.start == "uniform"
    return "whose weights are drawn at random" if drawn else "which the search began with"


def _noise(facts: RunFacts) -> float | None:
    """Noise of the Zipf estimate in nats, where that is the search's measure."""
    known = facts.individuals["noise"].dropna()
    return float(known.median()) if facts.settings.fitness.measure == "zipf" and len(known) else None


def _failures(individuals: pd.DataFrame) -> Finding:
    failed = individuals[individuals["fitness"].isna()]
    total = several(len(individuals), "individual")
    if failed.empty:
        return Finding(f"None of the {total} failed: no training diverged and no embedding collapsed.")
    parts = [f"{count} {status}" for status, count in failed["status"].value_counts(sort=False).sort_index().items()]
    tone = "bad" if 2 * len(failed) >= len(individuals) else "plain"
    return Finding(f"{len(failed)} of {total} failed ({listed(parts)}) and got the worst fitness.", tone)  # type: ignore[arg-type]


def _control(facts: RunFacts, control: str, individuals: pd.Series) -> Finding:
    content, name = facts.controls[control], CONTROL_NAMES.get(control, control)
    value, best = content.get("fitness"), float(individuals.max())
    if value is None:
        reason = content.get("reason") or content.get("status") or "no reason given"
        if control in EMPTY:
            return Finding(f"Control, {name}: refused by the guards, as it must be ({reason}).")
        return Finding(f"Control, {name}: refused by the guards ({reason}); there is nothing to compare with.")
    value = float(value)
    above = int((individuals > value).sum())
    total = several(len(individuals), "scored individual")
    if best <= value:
        what = {
            "untrained": "by this measure no training of the search brought anything",
            "uniform": "the search found no better weights than the same for every term",
            "raw_pixels": "the measure does not tell trained networks from the pixels themselves",
            "nuisance": "the measure can be won by how videos were recorded",
        }.get(control, "the measure can be won without any content")
        text = f"Control, {name}: fitness {number(value)}, and not one of {total} is above it (best {number(best)})"
        return Finding(f"{text}: {what}.", "bad")
    text = f"Control, {name}: fitness {number(value)}; {above} of {total} are above it (best {number(best)})."
    noise = _noise(facts)
    if noise is not None and best - value < noise:
        text += f" Even the best is ahead by less than the estimate’s own noise, about {number(noise)} nats."
        return Finding(text, "bad")
    if control in EMPTY:
        return Finding(f"{text} The guards let features without content pass.", "bad")
    return Finding(text, "bad" if 2 * above < len(individuals) else "plain")


def _terms_alone(facts: RunFacts, individuals: pd.Series) -> list[Finding]:
    """How the search compares with terms trained alone."""
    alone = {name: content.get("fitness") for name, content in facts.controls.items() if name.startswith(ALONE)}
    if not alone:
        return []
    tried = f"{several(len(alone), 'term')} tried alone"
    known = {name: float(value) for name, value in alone.items() if value is not None}
    if not known:
        return [Finding(f"Control, {tried}: all refused by the guards; there is nothing to compare with.")]
    first = max(known, key=lambda name: known[name])
    value, best = known[first], float(individuals.max())
    above = int((individuals > value).sum())
    text = (
        f"Control, {tried}: the best, {first.removeprefix(ALONE)}, has fitness {number(value)}; {above} of"
        f" {several(len(individuals), 'scored individual')} are above it (best {number(best)})."
    )
    return [Finding(text, "bad" if best <= value else "plain")]


def _measures_agree(facts: RunFacts, correlated: pd.DataFrame) -> list[Finding]:
    row = correlated[correlated["with"] == "weak"].iloc[0]
    if pd.isna(row["spearman"]):
        return []
    text = (
        f"Over {several(row['count'], 'individual')}, the Zipf fitness and the"
        f" {measure_name('weak', weak_measure(facts))} have a rank correlation of {number(row['spearman'], 2)};"
        f" {number(CORRELATION, 2)} is quoted for the CVPR paper (second-hand)."
    )
    return [Finding(text, "bad" if row["spearman"] <= 0 else "plain")]


def _fitness_and_transfer(correlated: pd.DataFrame) -> list[Finding]:
    found = []
    for collection, rows in correlated[correlated["with"] == "top1"].groupby("collection", sort=False):
        known = rows.dropna(subset=["spearman"])
        if len(known):
            parts = [
                f"{METHOD_NAMES[m]} {number(rho, 2)}" for m, rho in zip(known["method"], known["spearman"], strict=True)
            ]
            text = (
                f"Rank correlation of fitness and top-1 on {collection} over {known['count'].max()} lineup entries:"
                f" {listed(parts)}. With so few entries it is a hint at most."
            )
            found.append(Finding(text, "bad" if known["spearman"].min() <= 0 else "plain"))
        else:
            found.append(
                Finding(
                    f"On {collection}, fewer than four entries have both a fitness and a top-1 that differ: no"
                    " correlation is given."
                )
            )
    return found


def measured(facts: RunFacts, measure: str) -> dict[str, float]:
    """A measure of the controls that have it, by name; of the terms alone only the best."""
    values = {n: measure_of(content, measure, weak_measure(facts)) for n, content in facts.controls.items()}
    known = {name: value for name, value in values.items() if value is not None}
    alone = [name for name in known if name.startswith(ALONE)]
    best = max(alone, key=lambda name: known[name], default=None)
    return {CONTROL_NAMES.get(name, name): known[name] for name in known if name == best or name not in alone}
