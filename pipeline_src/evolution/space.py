"""The space that is searched: which terms' weights vary, and on what scale."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pipeline_src.errors import UserError

DECIMALS = 6

Weights = dict[str, float]


@dataclass(frozen=True)
class Space:
    """Weights of all terms as vectors of the searched ones, each value in [0, 1].

    On the linear scale a value is the weight. On the log scale the weight is floor ** (1 - value), so that equal steps
    of the value are equal factors; the value 0 is the weight 0 and turns the term off.

    Attributes:
        terms: names of all weights, in any order.
        fixed: weights that no individual changes.
        floor: smallest weight above 0 of the log scale; None for the linear scale.

    Raises:
        UserError: no term, a term twice, or nothing left to search.
    """

    terms: Sequence[str]
    fixed: Mapping[str, float] = field(default_factory=dict)
    floor: float | None = None

    def __post_init__(self) -> None:
        ordered = sorted(self.terms)
        if not ordered or len(set(ordered)) != len(ordered):
            raise UserError(f"terms: {', '.join(ordered) or 'none'} - allowed: at least one name, each once")
        object.__setattr__(self, "terms", tuple(ordered))
        if not self.searched:
            raise UserError("search.fixed, search.frozen: all of loss.terms - allowed: at least one term is searched")

    @property
    def searched(self) -> tuple[str, ...]:
        """The terms whose weights vary, sorted: the order of a vector's values."""
        return tuple(term for term in self.terms if term not in self.fixed)

    def weights(self, values: np.ndarray) -> Weights:
        """A weight per term, rounded to six decimals, from values of shape (searched terms,)."""
        searched = dict(zip(self.searched, map(float, values), strict=True))
        return {
            term: round(float(self.fixed[term] if term in self.fixed else self._weight(searched[term])), DECIMALS)
            for term in self.terms
        }

    def values(self, weights: Mapping[str, float]) -> tuple[float, ...]:
        """The vector behind weights."""
        return tuple(self._value(weights[term]) for term in self.searched)

    def _weight(self, value: float) -> float:
        if self.floor is None or value == 0:
            return value
        return float(self.floor ** (1 - value))

    def _value(self, weight: float) -> float:
        if self.floor is None:
            return weight
        if weight < round(self.floor, DECIMALS):
            return 0.0
        # The smallest weight is not none.
        return min(1.0, max(10.0**-DECIMALS, 1 - math.log(weight) / math.log(self.floor)))
