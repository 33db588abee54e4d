"""Which labels are kept."""

import itertools

import numpy as np
import pytest

from pipeline_src.errors import UserError
from pipeline_src.transfer.fewer_labels import with_fewer_labels
from pipeline_src.transfer.split import standardised


def kept(data, budget, seed=0):
    return with_fewer_labels(data, budget, seed).pick("train")


def test_shots_are_clips_of_every_class_and_percent_shares_of_it(blobs):
    data = blobs(classes=3, per_class=30, validation=True)
    for budget, count in (("1shot", 1), ("5shot", 5), ("10pct", 2), ("50pct", 10), ("99pct", 20), ("99shot", 20)):
        rows = kept(data, budget)
        assert [int((data.labels[rows] == name).sum()) for name in np.unique(data.labels)] == [count] * 3
        few = with_fewer_labels(data, budget, 0)
        assert (few.pick("test") == data.pick("test")).all()
        assert not few.pick("validation").any()


def test_smaller_budgets_are_among_larger_ones_and_the_seed_chooses(blobs):
    data = blobs(classes=3, per_class=30)
    order = ["1shot", "10pct", "5shot", "50pct"]
    for small, large in itertools.pairwise(order):
        assert (kept(data, large) | ~kept(data, small)).all()
    assert (kept(data, "5shot") != kept(data, "5shot", seed=1)).any()


def test_clips_without_their_label_still_scale_the_features(blobs):
    data = blobs(classes=2, per_class=30)
    few = standardised(with_fewer_labels(data, "1shot", 0))
    np.testing.assert_array_equal(few.vectors, standardised(data).vectors)


@pytest.mark.parametrize("budget", ["none", "0shot", "100pct", "5", "5 shot"])
def test_another_budget_is_told(blobs, budget):
    with pytest.raises(UserError, match="allowed: all, such as 5shot"):
        with_fewer_labels(blobs(), budget, 0)
