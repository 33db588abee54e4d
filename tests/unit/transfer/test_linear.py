"""Evaluation by one fully-connected layer."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline_src.settings.transfer import LinearSettings
from pipeline_src.transfer.linear import predict_by_layer
from pipeline_src.transfer.split import standardised
from pipeline_src.transfer.validation import held_out


def top1(data, prediction):
    return (prediction.labels == data.labels[data.pick("test")]).mean()


@pytest.mark.parametrize("validation", [False, True])
def test_separable_classes_are_all_found(blobs, validation):
    """Else a perfect embedding scores below 1; final training uses training and validation clips."""
    data = standardised(blobs(4, validation=validation))
    prediction = predict_by_layer(data, LinearSettings(), 0)
    assert top1(data, prediction) == 1
    assert prediction.train_clips == 80
    assert prediction.details["converged"]
    assert prediction.details["inverse_regularisation"] == 0.001  # all are perfect: the smallest is taken
    assert prediction.details["validation_clips"] == (data.pick("validation").sum() if validation else 16)


def test_permuted_test_labels_drop_to_chance(blobs):
    """Else the answers leak into the fit."""
    data = standardised(blobs(4, 300))
    test = np.flatnonzero(data.pick("test"))
    labels = data.labels.copy()
    labels[test] = np.random.default_rng(0).permutation(labels[test])
    shuffled = replace(data, labels=labels)
    found, before = predict_by_layer(shuffled, LinearSettings(), 0), predict_by_layer(data, LinearSettings(), 0)
    assert top1(shuffled, found) == pytest.approx(0.25, abs=0.1)
    # No choice depends on them.
    assert (found.labels == before.labels).all()
    assert found.details == before.details


def test_permuted_training_labels_drop_to_chance(blobs):
    """Else features alone, not their labels, decide."""
    data = standardised(blobs(4, 300))
    train = np.flatnonzero(data.pick("train"))
    labels = data.labels.copy()
    labels[train] = np.random.default_rng(0).permutation(labels[train])
    assert top1(data, predict_by_layer(replace(data, labels=labels), LinearSettings(), 0)) < 0.75


def test_held_out_part_shares_no_source_video_with_the_rest(blobs):
    """Else near-copies of a training clip choose the regularisation."""
    data = blobs(3, 60, videos=45)
    among = data.pick("train")
    taken = held_out(data.labels, data.groups, among, 0.3, 0)
    assert not set(data.groups[taken]) & set(data.groups[among & ~taken])
    assert not (taken & ~among).any()
    assert set(data.labels[taken]) == set(data.labels)
    assert taken.sum() == pytest.approx(0.3 * among.sum(), rel=0.2)
    assert (taken != held_out(data.labels, data.groups, among, 0.3, 1)).any()


def test_held_out_part_never_empties_a_class():
    """A class with one source video stays in training; with two it gives one."""
    labels, groups = np.array(["a", "a", "b", "b"]), np.array(["1", "1", "2", "3"])
    taken = held_out(labels, groups, np.ones(4, bool), 0.9, 0)
    assert taken.sum() == 1
    assert labels[taken] == "b"


def test_regularisation_is_chosen_by_validation(blobs):
    """Many noise dimensions and few clips: the choice must follow the validation scores."""
    data = blobs(2, 40, spread=1.5)
    noise = np.random.default_rng(0).standard_normal((80, 300))
    data = standardised(data.with_vectors(np.hstack([data.vectors, noise])))
    details = predict_by_layer(data, LinearSettings(), 0).details
    scores = details["validation_top1"]
    assert scores[f"{details['inverse_regularisation']:g}"] == max(scores.values())
    assert len(scores) == 5


def test_nothing_to_choose_from_takes_the_middle_value(blobs):
    """One source video per class leaves no validation part; the evaluation still ends."""
    data = blobs(3)
    data = standardised(replace(data, groups=data.labels))
    details = predict_by_layer(data, LinearSettings(), 0).details
    assert (details["inverse_regularisation"], details["validation_clips"]) == (0.1, 0)


def test_standardised_uses_no_test_clip_and_survives_constants(blobs):
    """Else test statistics leak, or a dead dimension gives NaN."""
    data = blobs(3)
    vectors = np.hstack([data.vectors, np.full((90, 1), 7.3), np.zeros((90, 1))])
    vectors[data.pick("test")] += 1000
    scaled = standardised(data.with_vectors(vectors))
    training = scaled.vectors[scaled.pick("train")]
    np.testing.assert_allclose(training[:, :3].mean(0), 0, atol=1e-9)
    np.testing.assert_allclose(training[:, :3].std(0), 1)
    assert (scaled.vectors[:, -2:] == 0).all()
