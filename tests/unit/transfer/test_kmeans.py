"""Evaluation by k-means."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline_src.errors import UserError
from pipeline_src.settings.transfer import KmeansSettings
from pipeline_src.transfer.kmeans import predict_by_clusters


def top1(data, prediction):
    return (prediction.labels == data.labels[data.pick("test")]).mean()


def test_separable_classes_are_all_found(blobs):
    """Else a perfect embedding scores below 1."""
    data = blobs(5)
    prediction = predict_by_clusters(data, KmeansSettings(), 0)
    assert top1(data, prediction) == 1
    assert prediction.details == {"clusters": 5, "train_top1": 1.0}
    assert prediction.train_clips == 100


def test_test_labels_play_no_part(blobs):
    """Else clusters are named with the answers: permuted test labels must fall to chance."""
    data = blobs(4, 300)
    test = np.flatnonzero(data.pick("test"))
    labels = data.labels.copy()
    labels[test] = np.random.default_rng(0).permutation(labels[test])
    shuffled = replace(data, labels=labels)
    prediction = predict_by_clusters(shuffled, KmeansSettings(), 0)
    assert prediction.labels.tolist() == predict_by_clusters(data, KmeansSettings(), 0).labels.tolist()
    assert top1(shuffled, prediction) == pytest.approx(0.25, abs=0.1)


def test_several_clusters_per_class_find_split_classes(blobs):
    """A class of two distant groups needs two clusters."""
    data = blobs(4)
    merged = replace(data, labels=np.where(np.isin(data.labels, ["class0", "class1"]), "a", "b"))
    assert top1(merged, predict_by_clusters(merged, KmeansSettings(clusters_per_class=2), 0)) == 1
    assert predict_by_clusters(merged, KmeansSettings(clusters_per_class=2), 0).details["clusters"] == 4


def test_more_clusters_than_clips_are_told(blobs):
    """Else a traceback of the library."""
    with pytest.raises(UserError, match=r"transfer\.kmeans\.clusters_per_class: 30 - gives 90 clusters"):
        predict_by_clusters(blobs(3), KmeansSettings(clusters_per_class=30), 0)


def test_validation_clips_serve_as_training(blobs):
    """Else methods differ in how many labels they see."""
    assert predict_by_clusters(blobs(3, validation=True), KmeansSettings(), 0).train_clips == 60
