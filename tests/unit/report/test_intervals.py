"""Intervals decide what the page calls a difference."""

import pytest
from scipy.stats import binomtest

from pipeline_src.report.intervals import difference, rank_correlation, wilson


@pytest.mark.parametrize(("hits", "count"), [(0, 10), (3, 8), (40, 80), (80, 80)])
def test_wilson_agrees_with_scipy(hits: int, count: int) -> None:
    """A reader would take noise for an improvement."""
    expected = binomtest(hits, count).proportion_ci(method="wilson")
    assert wilson(hits / count, count) == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_difference_agrees_with_newcombe() -> None:
    """Newcombe 1998, table II, method 10: 56/70 against 48/80 gives 0.0524 to 0.3339."""
    assert difference(56 / 70, 70, 48 / 80, 80) == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_rank_correlation_by_hand() -> None:
    """Ranks 1 2 3 4 against 1 2 4 3: 1 - 6 * 2 / (4 * 15) = 0.8."""
    assert rank_correlation([0.1, 0.2, 0.3, 0.9], [1, 2, 4, 3]) == pytest.approx(0.8)


@pytest.mark.parametrize(("first", "second"), [([1, 2, 3], [1, 2, 3]), ([1, 1, 1, 1], [1, 2, 3, 4])])
def test_no_rank_correlation_of_too_little(first: list[float], second: list[float]) -> None:
    """Three points, or a constant, would be sold as a correlation."""
    assert rank_correlation(first, second) is None
