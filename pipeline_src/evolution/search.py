"""The search over weights, one generation at a time: propose, then rank. No files are read or written here.

The state between generations is plain JSON whose size does not grow with the number of generations:

    {"strategy": name, "generation": g, "terms": [searched ones], "fixed": {term: weight},
     "memory": the strategy's own,
     "best": {"generation", "individual", "fitness", "rung", "weights": {term: weight}} or null}

The stage that ranks adds "before", the SHA-256 of the state that this one came from.
"""

import importlib
import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np

from pipeline_src.errors import UserError
from pipeline_src.evolution.generation import Generation, Scored, Strategy
from pipeline_src.evolution.space import Space, Weights


def propose(
    strategy: str,
    settings: dict[str, Any],
    space: Space,
    population: int,
    seed: int,
    generation: int,
    state: Mapping[str, Any] | None,
    start: Sequence[Weights] = (),
) -> list[Weights]:
    """Weights of every individual of a generation.

    Args:
        strategy: a module of pipeline_src/evolution/strategies.
        settings: that module's settings, complete.
        space: which weights vary, and how.
        population: individuals in the generation. Individual i is the same in a larger population.
        seed: the run's seed; random numbers derive from (seed, generation, individual).
        generation: from 0.
        state: what `rank` returned for the generation before; None for generation 0.
        start: the first individuals of generation 0; those beyond the population are left out.

    Returns:
        Per individual, a weight in [0, 1] per term, rounded to six decimals.

    Raises:
        UserError: the state belongs to another strategy, other terms or another generation.
    """
    _check_state(strategy, space, generation, state)
    memory = state["memory"] if state else {}
    given = np.array([space.values(weights) for weights in start][:population]) if generation == 0 else np.empty(0)
    dimensions = len(space.searched)
    asked = _load(strategy).ask(
        settings, memory, Generation(seed, generation, population, dimensions, given if len(given) else None)
    )
    if asked.shape != (population, dimensions) or not ((asked >= 0) & (asked <= 1)).all():
        raise ValueError(f"{strategy}.ask: weights {asked.shape} must be ({population}, {dimensions}) in [0, 1]")
    asked[: len(given)] = given.reshape(-1, dimensions)
    return [space.weights(row) for row in asked]


def rank(
    strategy: str,
    settings: dict[str, Any],
    space: Space,
    population: Sequence[Weights],
    fitness: Sequence[float | None],
    generation: int,
    state: Mapping[str, Any] | None,
    rungs: Sequence[int] | None = None,
) -> tuple[list[int], dict[str, Any]]:
    """Sort a generation and update the state of the search.

    Args:
        strategy, settings, space, generation, state: as for `propose`.
        population: what `propose` returned.
        fitness: per individual, higher is better; None (or NaN, infinite) for one that failed.
        rungs: per individual, the last rung of successive halving that it reached; whose is higher ranks before.

    Returns:
        Individuals' numbers, best first (ties by number, failed ones last), and the new state.

    Raises:
        UserError: the state belongs to another strategy, other terms or another generation.
    """
    _check_state(strategy, space, generation, state)
    scored = sorted(
        (
            Scored(generation, number, space.values(weights), _finite(value), rung)
            for number, (weights, value, rung) in enumerate(
                zip(population, fitness, rungs or [0] * len(population), strict=True)
            )
        ),
        key=Scored.order,
    )
    memory = state["memory"] if state else {}
    best = state["best"] if state else None
    leader = scored[0]
    # A later individual must be strictly better: of equals the first found stays.
    if leader.fitness is not None and (best is None or (leader.rung, leader.fitness) > (best["rung"], best["fitness"])):
        best = {
            "generation": generation,
            "individual": leader.individual,
            "fitness": leader.fitness,
            "rung": leader.rung,
            "weights": dict(population[leader.individual]),
        }
    return [individual.individual for individual in scored], {
        "strategy": strategy,
        "generation": generation,
        "terms": list(space.searched),
        "fixed": dict(space.fixed),
        "memory": _load(strategy).tell(settings, memory, scored),
        "best": best,
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _load(strategy: str) -> Strategy:
    return cast(Strategy, importlib.import_module(f"pipeline_src.evolution.strategies.{strategy}"))


def _check_state(strategy: str, space: Space, generation: int, state: Mapping[str, Any] | None) -> None:
    if state is None:
        if generation:
            raise UserError(f"generation: {generation} - allowed: 0 without the state of the generation before")
        return
    again = "delete this run's search folder or choose another run name"
    if state["strategy"] != strategy:
        raise UserError(f"search.strategy: {strategy!r} - the search so far used {state['strategy']!r}; {again}")
    if state["terms"] != list(space.searched):
        added = sorted(set(space.searched) - set(state["terms"]))
        removed = sorted(set(state["terms"]) - set(space.searched))
        changes = [f"{word} {', '.join(names)}" for word, names in (("added", added), ("removed", removed)) if names]
        raise UserError(
            f"searched terms: {'; '.join(changes)} since the search so far - allowed: the same terms; {again}"
        )
    if state["generation"] != generation - 1:
        raise UserError(f"generation: {generation} - allowed: {state['generation'] + 1}, which follows the given state")
