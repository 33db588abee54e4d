"""Confidence intervals of accuracies, and rank correlation."""

import math
from collections.abc import Sequence

from scipy.stats import spearmanr

Z95 = 1.959964


def wilson(share: float, count: int, z: float = Z95) -> tuple[float, float]:
    """Score interval of a binomial proportion (Wilson 1927), 95 % by default.

    Args:
        share: the proportion found, 0 to 1.
        count: trials, 1 or more.
        z: quantile of the normal distribution.
    """
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2)) / (1 + z**2 / count)
    return max(0.0, middle - half), min(1.0, middle + half)


def difference(first: float, first_count: int, second: float, second_count: int) -> tuple[float, float]:
    """95 % interval of first - second for independent proportions (Newcombe 1998, method 10).

    Two models tested on the same clips tend to agree, which makes this interval wider than it need be.
    """
    low1, high1 = wilson(first, first_count)
    low2, high2 = wilson(second, second_count)
    gap = first - second
    below = math.sqrt((first - low1) ** 2 + (high2 - second) ** 2)
    above = math.sqrt((high1 - first) ** 2 + (second - low2) ** 2)
    return gap - below, gap + above


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Spearman's rho; None where one side is constant or there are fewer than four pairs."""
    if len(first) < 4 or len(set(first)) < 2 or len(set(second)) < 2:
        return None
    return float(spearmanr(first, second).statistic)
