"""CMA-ES: weights are drawn from a normal distribution whose mean, size and shape follow the better half.

Hansen 2016, The CMA Evolution Strategy: A Tutorial, as implemented by the package cmaes. Weights that are drawn outside
of [0, 1] are set to its ends, so that terms can be off. Individuals without fitness count as the worst.

Only the draws are not the package's. It multiplies by the eigenvectors of the covariance, which rounding decides where
eigenvalues are equal, as all are at first: on another processor the same seed would give other weights. The symmetric
root of the covariance gives the same distribution and has no such choice.
"""

from typing import Any

import numpy as np
from cmaes import CMA
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from pipeline_src.evolution.generation import Generation, Scored

SETTINGS: dict[str, dict[str, Any]] = {
    "sigma": {
        "default": 0.3,
        "minimum": 0.001,
        "maximum": 1.0,
        "help": "standard deviation of each weight in the first generation",
    },
    "smallest_sigma": {
        "default": 0.02,
        "minimum": 0.0,
        "maximum": 1.0,
        "help": "the step size is never below this, or noise in the fitness would end the search",
    },
}
# The update needs two individuals in the better half, of which it averages.
MINIMUM_POPULATION = 4

# What the package's own pickling keeps of a distribution; the rest follows from the sizes.
KEPT = ("_mean", "_sigma", "_c_1d", "_pc", "_p_sigma", "_g")


def ask(settings: dict[str, Any], memory: dict[str, Any], generation: Generation) -> np.ndarray:
    """Draws from the distribution, shape (population, dimensions)."""
    with threadpool_limits(1):
        optimiser = _restored(settings, memory, generation.start, generation.dimensions, generation.population)
        variances, axes = np.linalg.eigh(optimiser._C)
        root = optimiser._sigma * (axes * np.sqrt(np.maximum(variances, 0))) @ axes.T
        drawn = [root @ generation.random(number).standard_normal(len(root)) for number in range(generation.population)]
    return np.clip(optimiser.mean + np.stack(drawn), 0, 1)


def tell(settings: dict[str, Any], memory: dict[str, Any], scored: list[Scored]) -> dict[str, Any]:
    """The distribution after a generation, for the first of which it is taken to have been around its individuals.

    Where fewer than half have a fitness it stays as it was.
    """
    population = np.array([individual.values for individual in scored])
    known = sum(individual.fitness is not None for individual in scored)
    with threadpool_limits(1):
        optimiser = _restored(settings, memory, population, population.shape[1], len(scored))
        if known >= len(scored) / 2:
            # Only the order counts.
            optimiser.tell([(values, place) for place, values in enumerate(population)])
    state = optimiser.__getstate__()
    state["_sigma"] = max(float(state["_sigma"]), settings["smallest_sigma"])
    return {name: np.asarray(state[name]).tolist() for name in KEPT}


def _restored(
    settings: dict[str, Any], memory: dict[str, Any], start: np.ndarray | None, dimensions: int, population: int
) -> CMA:
    """The distribution that is remembered; at first one around given individuals, or around the middle."""
    mean = np.full(dimensions, 0.5) if start is None else start.mean(0)
    sigma = max(settings["sigma"], settings["smallest_sigma"])
    optimiser = CMA(mean, sigma, population_size=population)
    if memory:
        state = optimiser.__getstate__()
        optimiser.__setstate__({**state, **{name: _numbers(memory[name]) for name in KEPT}})
    return optimiser


def _numbers(value: Any) -> Any:
    return np.array(value) if isinstance(value, list) else value
