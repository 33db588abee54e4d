"""The weights of a row of the results table."""

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipeline_src.errors import UserError
from pipeline_src.evolution.space import Space, Weights
from pipeline_src.settings.transfer import LineupEntry

# The last word of the seed, as in generation.PROPOSALS.
LINEUP = 2
DISTILLATION = "distill."


def choose_weights(
    entry: LineupEntry,
    terms: Sequence[str],
    seed: int,
    state: Mapping[str, Any] | None = None,
    *,
    fixed: Mapping[str, float] | None = None,
    floor: float | None = None,
) -> Weights:
    """Weights that an entry is trained with.

    evolved                       the best of all generations
    evolved_without_distillation  the same with every distill.* at 0
    evolved_permuted              the same values dealt to the searched terms at random: do their places matter?
    best_of_random                the best of as many random individuals as the search tried
    random                        drawn as the random search draws, from the seed and the entry's name
    uniform                       1 for every term
    single                        1 for the entry's term, 0 for the others
    upper_bound                   the same, of a term that learns from labels
    scratch                       no terms: the network keeps its initial weights
    pretrained                    no terms: the network comes with weights of its own

    Args:
        entry: the row.
        terms: names of all weights.
        seed: the run's seed.
        state: the last state of the search, or of that by random weights for best_of_random; for the evolved kinds.
        fixed, floor: of the searched space, as in Space; for random.

    Returns:
        A weight in [0, 1] per term; {} for scratch and pretrained.

    Raises:
        UserError: what the kind needs is missing, or belongs to other terms.
    """
    ordered = sorted(terms)
    if not entry.trained:
        return {}
    if entry.kind == "uniform":
        return dict.fromkeys(ordered, 1.0)
    if entry.kind in ("single", "upper_bound"):
        if entry.term not in ordered:
            raise UserError(f"lineup.{entry.name}.term: {entry.term!r} - allowed: {', '.join(ordered)}")
        return {term: float(term == entry.term) for term in ordered}
    random = np.random.default_rng([seed, zlib.crc32(entry.name.encode()), LINEUP])
    if entry.kind == "random":
        space = Space(ordered, fixed or {}, floor)
        return space.weights(random.random(len(space.searched)))
    if state is None:
        raise UserError(f"lineup.{entry.name}: kind {entry.kind} needs the search's last state")
    if state["best"] is None:
        raise UserError(
            f"lineup.{entry.name}: no individual of the search got a fitness; the reasons are in its"
            " gen_*/generation.csv"
        )
    evolved = _same_terms(entry, ordered, state["best"]["weights"])
    if entry.kind == "evolved_without_distillation":
        return {term: 0.0 if term.startswith(DISTILLATION) else value for term, value in evolved.items()}
    if entry.kind == "evolved_permuted":
        searched = [term for term in ordered if term not in state.get("fixed", {})]
        values = _rearranged(np.array([evolved[term] for term in searched]), random)
        return {**evolved, **dict(zip(searched, map(float, values), strict=True))}
    return evolved


def _rearranged(values: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A random permutation that is not the same assignment again, unless all values are equal."""
    while True:
        permuted = random.permutation(values)
        if (permuted != values).any() or (values == values[0]).all():
            return permuted


def _same_terms(entry: LineupEntry, ordered: list[str], found: Weights) -> Weights:
    if sorted(found) != ordered:
        changed = ", ".join(sorted(set(found) ^ set(ordered)))
        raise UserError(
            f"lineup.{entry.name}: loss.terms and the search differ in {changed} - allowed: the same terms;"
            " run the search again"
        )
    return {term: float(found[term]) for term in ordered}
