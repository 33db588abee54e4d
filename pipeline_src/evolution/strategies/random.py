"""Random search, the control of the others: every weight of every individual is uniform in [0, 1]."""

from typing import Any

import numpy as np

from pipeline_src.evolution.generation import Generation, Scored

SETTINGS: dict[str, dict[str, Any]] = {}


def ask(settings: dict[str, Any], memory: dict[str, Any], generation: Generation) -> np.ndarray:
    """Uniform weights, shape (population, dimensions)."""
    draws = [generation.random(number).random(generation.dimensions) for number in range(generation.population)]
    return np.array(draws)


def tell(settings: dict[str, Any], memory: dict[str, Any], scored: list[Scored]) -> dict[str, Any]:
    """Nothing is remembered."""
    return {}
