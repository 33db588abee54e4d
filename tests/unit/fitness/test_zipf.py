"""The Zipf measure against values by hand and by scipy."""

import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import entropy, zipfian

from pipeline_src.fitness.clusters import unit_rows
from pipeline_src.fitness.zipf import divergence, estimate_noise, memberships, zipf_divergence, zipf_law


def test_law_by_hand_and_by_scipy():
    """Else the search aims at another distribution. s = 1, k = 3: 1, 1/2, 1/3 over 11/6."""
    np.testing.assert_allclose(zipf_law(3, 1.0), [6 / 11, 3 / 11, 2 / 11])
    np.testing.assert_allclose(zipf_law(20, 1.7), zipfian.pmf(np.arange(1, 21), 1.7, 20))


def test_divergence_by_hand_and_by_scipy():
    """Else fitness is wrong. p uniform over two, q = (2/3, 1/3): ln(3/4)/2 + ln(3/2)/2 = ln(9/8)/2."""
    assert divergence(np.array([0.5, 0.5]), zipf_law(2, 1.0)) == pytest.approx(np.log(9 / 8) / 2)
    for p in ([0.7, 0.2, 0.1], [0.4, 0.4, 0.2], [1.0, 0.0, 0.0]):
        assert divergence(np.array(p), zipf_law(3, 1.0)) == pytest.approx(entropy(p, zipf_law(3, 1.0)))
    assert divergence(zipf_law(7, 1.3), zipf_law(7, 1.3)) == 0


def test_memberships_are_the_papers_softmax():
    """Else p(c|x) is not exp(-d^2/t) normalised."""
    random = np.random.default_rng(0)
    x, c = random.standard_normal((9, 4)), random.standard_normal((3, 4))
    squared = ((x[:, None] - c[None]) ** 2).sum(-1)
    np.testing.assert_allclose(memberships(x, c, 0.3), softmax(-squared / 0.3, axis=1))
    far = memberships(1000 * x, 1000 * c, 1e-3)
    np.testing.assert_allclose(far.sum(1), 1)  # no underflow to 0/0


def test_whole_measure_on_clusters_of_known_sizes():
    """Clusters of 60, 30 and 20 of 110 are exactly Zipf's law; equal ones are not."""
    centroids = np.eye(3)
    zipfian_clips = centroids[np.repeat([1, 2, 0], [30, 20, 60])]
    found = zipf_divergence(zipfian_clips, centroids, exponent=1.0, temperature=0.01)
    assert found["kl"] == pytest.approx(0, abs=1e-6)
    assert found["proportions"] == pytest.approx([6 / 11, 3 / 11, 2 / 11], abs=1e-6)
    assert found["noise"] == pytest.approx(2 / 220, abs=1e-6)
    equal = zipf_divergence(centroids[np.repeat([0, 1, 2], 20)], centroids, exponent=1.0, temperature=0.01)
    assert equal["kl"] == pytest.approx(entropy([1 / 3] * 3, zipf_law(3, 1.0)), abs=1e-6)


def test_noise_is_what_sampling_from_the_law_gives():
    """Else the required number of clips is wrong: (k - 1) / 2N against 2000 simulated samples."""
    random, law = np.random.default_rng(1), zipf_law(8, 1.0)
    counts = random.multinomial(500, law, size=2000)
    simulated = np.mean([divergence(row / 500, law) for row in counts])
    assert estimate_noise(8, 500) == 0.007
    assert simulated == pytest.approx(0.007, rel=0.1)


def test_unit_rows_keep_zero_vectors_and_large_values():
    """Else one dead clip turns the whole fitness into NaN."""
    scaled = unit_rows(np.array([[3.0, 4.0], [0.0, 0.0], [3e38, 3e38]], np.float32))
    np.testing.assert_allclose(scaled, [[0.6, 0.8], [0, 0], [0.5**0.5, 0.5**0.5]], rtol=1e-6)
