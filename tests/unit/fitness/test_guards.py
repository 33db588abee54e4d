"""Effective rank and cluster stability."""

import numpy as np
import pytest
from scipy.stats import entropy

from pipeline_src.fitness.guards import effective_rank, stability


def test_effective_rank_by_hand():
    """Else collapsed embeddings pass. Points at +-1 on each of d axes have d equal singular values."""
    for dimensions in (1, 2, 5):
        assert effective_rank(np.vstack([np.eye(dimensions), -np.eye(dimensions)])) == pytest.approx(dimensions)
    # singular values 2 and 1 times sqrt(2): shares 2/3 and 1/3
    points = np.array([[2.0, 0], [-2, 0], [0, 1], [0, -1]])
    assert effective_rank(points) == pytest.approx(np.exp(entropy([2 / 3, 1 / 3])))


def test_effective_rank_is_of_centred_vectors():
    """Else a large common offset hides the spread, or passes for it."""
    points = np.vstack([np.eye(4), -np.eye(4)])
    assert effective_rank(points + 100) == pytest.approx(4)


@pytest.mark.parametrize("value", [0.0, 1.0, 0.1, 1e-20, 1e20])
def test_equal_points_have_rank_zero_despite_rounding(value):
    """Else rounding of a constant embedding counts as spread."""
    constant = np.full((1000, 64), value, np.float32) * np.linspace(1, 2, 64, dtype=np.float32)
    assert effective_rank(constant) == 0
    jitter = np.random.default_rng(0).standard_normal(constant.shape) * 1e-8
    assert effective_rank(constant * (1 + jitter)) == 0


def test_stability_is_one_for_the_same_and_about_zero_for_unrelated_clusters():
    """Else clusters that exist only by chance pass."""
    random = np.random.default_rng(0)
    points = random.standard_normal((2000, 2))
    centroids = np.array([[1.0, 0], [-1, 0]])
    assert stability(points, centroids, centroids[::-1]) == 1
    assert abs(stability(points, centroids, centroids[:, ::-1])) < 0.01
