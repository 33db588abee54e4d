"""What a search strategy is given: one generation's place in the search, and its scored individuals."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

# The last word of every seed: keeps these random numbers apart from those of an individual's other jobs.
PROPOSALS = 1


@dataclass(frozen=True)
class Generation:
    """One generation that asks for weights.

    Attributes:
        seed: the run's seed, 0 or more.
        number: the generation, from 0.
        population: its individuals.
        dimensions: weights of an individual; a strategy sees vectors, in the order of the sorted terms.
        start: (n, dimensions) individuals that the first generation begins with; they take its first places.
    """

    seed: int
    number: int
    population: int
    dimensions: int
    start: np.ndarray | None = None

    def random(self, individual: int) -> np.random.Generator:
        """The random numbers of one individual: the same on every machine and in every order."""
        return np.random.default_rng([self.seed, self.number, individual, PROPOSALS])


@dataclass(frozen=True)
class Scored:
    """An individual after its training.

    Attributes:
        generation, individual: its number.
        values: weights in [0, 1], one per dimension.
        fitness: higher is better; None for an individual that diverged or was refused.
        rung: of successive halving, the last that it reached.
    """

    generation: int
    individual: int
    values: tuple[float, ...]
    fitness: float | None
    rung: int = 0

    def order(self) -> tuple[bool, int, float, int, int]:
        """Sort key: best first, who got further before others, ties by number, those without fitness last."""
        return (self.fitness is None, -self.rung, -(self.fitness or 0.0), self.generation, self.individual)


class Strategy(Protocol):
    """A module of pipeline_src/evolution/strategies: a literal table `SETTINGS` and these two pure functions.

    `memory` is what the strategy remembers between generations: JSON of bounded size, {} before the first.
    """

    def ask(self, settings: dict[str, Any], memory: dict[str, Any], generation: Generation) -> np.ndarray:
        """Weights of a generation, shape (population, dimensions), each in [0, 1]."""

    def tell(self, settings: dict[str, Any], memory: dict[str, Any], scored: list[Scored]) -> dict[str, Any]:
        """The memory after a generation, whose individuals come best first."""
