"""Grid search: every weight takes one of a few evenly spaced values, and no point comes twice before all have come.

The points of the grid are visited in steps of the golden ratio of their number, so that a search which ends early has
seen all parts of the grid, not one corner of it.
"""

import math
from typing import Any

import numpy as np

from pipeline_src.errors import UserError
from pipeline_src.evolution.generation import Generation, Scored

SETTINGS: dict[str, dict[str, Any]] = {
    "levels": {
        "default": 3,
        "minimum": 2,
        "maximum": 100,
        "help": "values that a weight can take, from 0 to 1",
    },
}


def ask(settings: dict[str, Any], memory: dict[str, Any], generation: Generation) -> np.ndarray:
    """The next points of the grid, shape (population, dimensions)."""
    levels, dimensions = settings["levels"], generation.dimensions
    points = levels**dimensions
    visited = memory.get("visited", 0)
    if visited >= points:
        raise UserError(
            f"search.generations: {generation.number + 1} - allowed: at most {generation.number}, after which all"
            f" {points} points of the grid are visited"
        )
    stride = _stride(points)
    proposed = np.empty((generation.population, dimensions))
    for number in range(generation.population):
        rest = (generation.seed + (visited + number) * stride) % points
        for dimension in range(dimensions):
            rest, level = divmod(rest, levels)
            proposed[number, dimension] = level / (levels - 1)
    return proposed


def tell(settings: dict[str, Any], memory: dict[str, Any], scored: list[Scored]) -> dict[str, Any]:
    """How many points were visited."""
    return {"visited": memory.get("visited", 0) + len(scored)}


def _stride(points: int) -> int:
    """The number nearest above points / golden ratio that shares no factor with points."""
    stride = max(1, points * 618_033_988_749_895 // 10**15)
    while math.gcd(stride, points) != 1:
        stride += 1
    return stride
