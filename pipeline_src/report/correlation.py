"""Rank correlation."""

from collections.abc import Sequence

from scipy.stats import spearmanr


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Spearman's rho; None where one side is constant or there are fewer than four pairs."""
    if len(first) < 4 or len(set(first)) < 2 or len(set(second)) < 2:
        return None
    return float(spearmanr(first, second).statistic)
