"""Agreement of clusters with classes against values by hand."""

from itertools import permutations

import numpy as np
import pytest

from pipeline_src.fitness.agreement import agreement, contingency, matched_classes


def test_perfect_agreement_whatever_the_names():
    """Else numbering of clusters matters."""
    found = agreement(np.array([2, 2, 0, 0, 1]), np.array(["a", "a", "b", "b", "c"]))
    assert found == {"nmi": 1.0, "ari": 1.0, "accuracy": 1.0}


def test_values_by_hand():
    """Clusters (a a b | b b b): best matching 5/6; ARI from pair counts; NMI from entropies."""
    clusters, labels = np.array([0, 0, 0, 1, 1, 1]), np.array(list("aabbbb"))
    # table [[2, 1], [0, 3]]: pairs together in both 1 + 3 = 4, in clusters 6, in classes 1 + 6 = 7, of 15
    ari = (4 - 6 * 7 / 15) / ((6 + 7) / 2 - 6 * 7 / 15)
    h_classes = -(1 / 3 * np.log(1 / 3) + 2 / 3 * np.log(2 / 3))
    mutual = 2 / 6 * np.log(2 * 6 / (3 * 2)) + 1 / 6 * np.log(6 / (3 * 4)) + 3 / 6 * np.log(3 * 6 / (3 * 4))
    expected = {"nmi": mutual / ((np.log(2) + h_classes) / 2), "ari": ari, "accuracy": 5 / 6}
    assert agreement(clusters, labels) == pytest.approx(expected, abs=1e-6)


def test_independent_labels_agree_by_chance_only():
    """Else noise looks like structure."""
    random = np.random.default_rng(0)
    found = agreement(random.integers(4, size=4000), random.integers(4, size=4000))
    assert abs(found["ari"]) < 0.005
    assert found["nmi"] < 0.01
    assert found["accuracy"] == pytest.approx(0.25, abs=0.03)


def test_matching_is_the_best_of_all():
    """Against every permutation of a random table; a greedy matching would fail."""
    counts = np.random.default_rng(3).integers(20, size=(5, 5))
    best = max(sum(counts[i, p[i]] for i in range(5)) for p in permutations(range(5)))
    found = matched_classes(counts)
    assert counts[np.arange(5), found].sum() == best
    assert sorted(found) == [0, 1, 2, 3, 4]


def test_several_clusters_per_class_and_clusters_left_over():
    """A class may own several clusters only where the setting allows it."""
    counts = contingency(np.array([0, 0, 1, 1, 2, 3]), np.array([0, 0, 0, 0, 1, 1]), (4, 2))
    assert matched_classes(counts, 2).tolist() == [0, 0, 1, 1]
    single = matched_classes(counts)
    assert sorted(single) == [-1, -1, 0, 1]
