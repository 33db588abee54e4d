"""Whether a measure foretells another."""

import pytest

from pipeline_src.report.correlation import rank_correlation


def test_rank_correlation_by_hand() -> None:
    """Ranks 1 2 3 4 against 1 2 4 3: 1 - 6 * 2 / (4 * 15) = 0.8."""
    assert rank_correlation([0.1, 0.2, 0.3, 0.9], [1, 2, 4, 3]) == pytest.approx(0.8)


@pytest.mark.parametrize(("first", "second"), [([1, 2, 3], [1, 2, 3]), ([1, 1, 1, 1], [1, 2, 3, 4])])
def test_no_rank_correlation_of_too_little(first: list[float], second: list[float]) -> None:
    """Three points, or a constant, would be sold as a correlation."""
    assert rank_correlation(first, second) is None
