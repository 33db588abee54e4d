"""Nearest neighbours against scikit-learn and brute force."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from pipeline_src.settings.transfer import RetrievalSettings
from pipeline_src.transfer.retrieval import nearest_by_cosine, predict_by_neighbours


def test_neighbours_and_recall_are_scikit_learns(blobs):
    data = blobs(classes=5, per_class=60, spread=2.0)
    training, test = data.pick("train", "validation"), data.pick("test")
    found = predict_by_neighbours(data, RetrievalSettings())
    mean = data.vectors[training].mean(0)
    search = NearestNeighbors(n_neighbors=50, metric="cosine").fit(data.vectors[training] - mean)
    nearest = search.kneighbors(data.vectors[test] - mean, return_distance=False)
    assert found.details["neighbours"] == nearest[:, :10].tolist()
    right = data.labels[training][nearest] == data.labels[test][:, None]
    wanted = {str(k): pytest.approx(right[:, :k].any(1).mean(), abs=1e-6) for k in (1, 5, 10, 20, 50)}
    assert found.details["recall"] == wanted
    assert 0.3 < found.details["recall"]["1"] < found.details["recall"]["50"] == 1
    assert (found.labels == data.labels[training][nearest[:, 0]]).all()


def test_the_vote_is_weighted_by_cosine(blobs):
    """By hand for every test clip; one near neighbour outweighs two far ones."""
    data = blobs(classes=4, per_class=24, spread=2.5)
    settings = RetrievalSettings(neighbours=7, temperature=0.2)
    training, test = data.pick("train"), data.pick("test")
    vectors = data.vectors - data.vectors[training].mean(0)
    known, right = data.labels[training], 0
    for query, label in zip(vectors[test], data.labels[test], strict=True):
        cosines = [float(query @ v / np.sqrt((query @ query) * (v @ v))) for v in vectors[training]]
        votes = {}
        for place in np.argsort(cosines)[::-1][:7]:
            votes[known[place]] = votes.get(known[place], 0.0) + np.exp(cosines[place] / 0.2)
        right += max(votes, key=lambda name: votes[name]) == label
    details = predict_by_neighbours(data, settings).details
    assert details["knn_top1"] == pytest.approx(right / test.sum(), abs=1e-6)
    # By clip, so that the vote has an interval, too.
    assert (np.array(details["knn_predictions"]) == data.labels[test]).sum() == right


def test_permuted_test_labels_change_test_metrics_only(blobs):
    data = blobs(classes=4, spread=1.0)
    labels = data.labels.copy()
    test = data.pick("test")
    labels[test] = np.random.default_rng(0).permutation(labels[test])
    one, two = (predict_by_neighbours(d, RetrievalSettings()) for d in (data, replace(data, labels=labels)))
    assert (one.labels == two.labels).all()
    assert one.details["neighbours"] == two.details["neighbours"]
    assert one.details["recall"]["1"] > two.details["recall"]["1"] + 0.3


def test_few_training_clips_shorten_the_list(blobs):
    data = blobs(classes=2, per_class=3)
    found = predict_by_neighbours(data, RetrievalSettings(kept=50))
    assert found.details["recall"] == {"1": 1.0}
    assert [len(row) for row in found.details["neighbours"]] == [4, 4]


def test_equal_vectors_are_equally_near_and_the_first_comes_first():
    """A collapsed network still has a defined outcome."""
    places, cosines = nearest_by_cosine(np.ones((5, 3)), np.ones((2, 3)), 3)
    assert places.tolist() == [[0, 1, 2]] * 2
    assert (cosines == 0).all()
