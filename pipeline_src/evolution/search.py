"""The search over weights, one generation at a time: propose, then rank. No files are read or written here.

The state between generations is plain JSON whose size does not grow with the number of generations:

    {"strategy": name, "generation": g, "terms": [...], "memory": the strategy's own,
     "best": {"generation", "individual", "fitness", "weights": {term: weight}} or null}
"""

import importlib
import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np

from pipeline_src.errors import UserError
from pipeline_src.evolution.generation import Generation, Scored, Strategy

DECIMALS = 6

Weights = dict[str, float]


def propose(
    strategy: str,
    settings: dict[str, Any],
    terms: Sequence[str],
    population: int,
    seed: int,
    generation: int,
    state: Mapping[str, Any] | None,
) -> list[Weights]:
    """Weights of every individual of a generation.

    Args:
        strategy: a module of pipeline_src/evolution/strategies.
        settings: that module's settings, complete.
        terms: names of the weights, in any order.
        population: individuals in the generation. Individual i is the same in a larger population.
        seed: the run's seed; random numbers derive from (seed, generation, individual).
        generation: from 0.
        state: what `rank` returned for the generation before; None for generation 0.

    Returns:
        Per individual, a weight in [0, 1] per term, rounded to six decimals.

    Raises:
        UserError: the state belongs to another strategy, other terms or another generation.
    """
    ordered = _ordered(terms)
    _check_state(strategy, ordered, generation, state)
    memory = state["memory"] if state else {}
    asked = _load(strategy).ask(settings, memory, Generation(seed, generation, population, len(ordered)))
    if asked.shape != (population, len(ordered)) or not ((asked >= 0) & (asked <= 1)).all():
        raise ValueError(f"{strategy}.ask: weights {asked.shape} must be ({population}, {len(ordered)}) in [0, 1]")
    return [dict(zip(ordered, map(float, np.round(row, DECIMALS)), strict=True)) for row in asked]


def rank(
    strategy: str,
    settings: dict[str, Any],
    population: Sequence[Weights],
    fitness: Sequence[float | None],
    generation: int,
    state: Mapping[str, Any] | None,
) -> tuple[list[int], dict[str, Any]]:
    """Sort a generation and update the state of the search.

    Args:
        strategy, settings, generation, state: as for `propose`.
        population: what `propose` returned.
        fitness: per individual, higher is better; None (or NaN, infinite) for one that failed.

    Returns:
        Individuals' numbers, best first (ties by number, failed ones last), and the new state.

    Raises:
        UserError: the state belongs to another strategy, other terms or another generation.
    """
    ordered = _ordered(population[0])
    _check_state(strategy, ordered, generation, state)
    scored = sorted(
        (
            Scored(generation, number, tuple(weights[term] for term in ordered), _finite(value))
            for number, (weights, value) in enumerate(zip(population, fitness, strict=True))
        ),
        key=Scored.order,
    )
    memory = state["memory"] if state else {}
    best = state["best"] if state else None
    leader = scored[0]
    # A later individual must be strictly better: of equals the first found stays.
    if leader.fitness is not None and (best is None or leader.fitness > best["fitness"]):
        best = {
            "generation": generation,
            "individual": leader.individual,
            "fitness": leader.fitness,
            "weights": dict(zip(ordered, leader.values, strict=True)),
        }
    return [individual.individual for individual in scored], {
        "strategy": strategy,
        "generation": generation,
        "terms": ordered,
        "memory": _load(strategy).tell(settings, memory, scored),
        "best": best,
    }


def _ordered(terms: Sequence[str] | Mapping[str, float]) -> list[str]:
    ordered = sorted(terms)
    if not ordered or len(set(ordered)) != len(ordered):
        raise UserError(f"terms: {', '.join(ordered) or 'none'} - allowed: at least one name, each once")
    return ordered


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _load(strategy: str) -> Strategy:
    return cast(Strategy, importlib.import_module(f"pipeline_src.evolution.strategies.{strategy}"))


def _check_state(strategy: str, terms: list[str], generation: int, state: Mapping[str, Any] | None) -> None:
    if state is None:
        if generation:
            raise UserError(f"generation: {generation} - allowed: 0 without the state of the generation before")
        return
    again = "delete this run's search folder or choose another run name"
    if state["strategy"] != strategy:
        raise UserError(f"search.strategy: {strategy!r} - the search so far used {state['strategy']!r}; {again}")
    if state["terms"] != terms:
        added = sorted(set(terms) - set(state["terms"]))
        removed = sorted(set(state["terms"]) - set(terms))
        changes = [f"{word} {', '.join(names)}" for word, names in (("added", added), ("removed", removed)) if names]
        raise UserError(f"loss.terms: {'; '.join(changes)} since the search so far - allowed: the same terms; {again}")
    if state["generation"] != generation - 1:
        raise UserError(f"generation: {generation} - allowed: {state['generation'] + 1}, which follows the given state")
