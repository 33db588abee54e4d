"""Intervals decide what the report calls a difference."""

import numpy as np
import pytest
from scipy import stats

from pipeline_src.transfer.answers import Answers
from pipeline_src.transfer.intervals import FEWEST_VIDEOS, SMALLEST_P, accuracy, difference, interval


def result(right, *, entry="a", seed=0, split=1, videos=None):
    right = np.asarray(right, bool)
    names = np.array([f"v{n:04d}" for n in range(len(right))]) if videos is None else np.asarray(videos)
    return Answers("set", split, entry, seed, "linear", right, names, 0.1)


def put_together(*groups):
    videos = np.unique(np.concatenate([answers.videos for group in groups for answers in group]))
    return [accuracy(group, videos) for group in groups]


def top1(found, without=None):
    """The mean over results, clip by clip, as one would count it."""
    weights = [1 / (len(found) * len(answers.videos)) for answers in found]
    pairs = [
        (weight * float(right), weight)
        for answers, weight in zip(found, weights, strict=True)
        for right, video in zip(answers.right, answers.videos, strict=True)
        if video != without
    ]
    return sum(right for right, _ in pairs) / sum(weight for _, weight in pairs)


def two_rows(random, *, seeds=3, count=20, trained=0.3, gap=0.0):
    """Two rows on the same videos of unequal length; clips of a video, and results of a training, are alike."""
    videos = np.repeat([f"v{n}" for n in range(count)], 1 + random.geometric(0.15, count))
    _, places = np.unique(videos, return_inverse=True)
    shared = random.normal(0, 1, count)[places] + random.normal(0, 0.5, len(videos))
    rows = []
    for entry, more in (("a", gap), ("b", 0.0)):
        own = shared + more + random.normal(0, 0.4, count)[places]
        rows.append(
            [
                result(
                    own + random.normal(0, trained) + random.logistic(0, 0.5, len(videos)) > 0,
                    entry=entry, seed=seed, videos=videos,
                )
                for seed in range(seeds)
            ]
        )  # fmt: skip
    return rows


def test_the_variance_is_that_of_leaving_out_each_video_and_of_the_seeds() -> None:
    """Two splits share some videos, seeds differ: every number calculated without the module's formulas."""
    random = np.random.default_rng(5)
    parts = {1: np.repeat(["p", "q", "r", "s", "t", "u", "v"], [5, 4, 3, 2, 4, 6, 1]), 2: np.repeat(list("rsxyzwk"), 3)}
    ours, theirs = (
        [
            result(random.random(len(parts[split])) < share, entry=entry, seed=seed, split=split, videos=parts[split])
            for seed in range(3)
            for split in (1, 2)
        ]
        for entry, share in (("a", 0.7), ("b", 0.5))
    )
    found = difference(*put_together(ours, theirs))
    names = sorted({*parts[1], *parts[2]})
    left_out = np.array([top1(ours, name) - top1(theirs, name) for name in names])
    gap = top1(ours) - top1(theirs)
    by_video = (len(names) - 1) / len(names) * ((left_out - gap) ** 2).sum()
    spreads = [np.std([top1(row[i : i + 2]) for i in (0, 2, 4)], ddof=1) ** 2 / 3 for row in (ours, theirs)]
    share = [sum((parts[s] == name).sum() / len(parts[s]) for s in (1, 2)) / 2 for name in names]
    variance = by_video + sum(spreads)
    freedom = variance**2 / (by_video**2 / (1 / np.square(share).sum() - 1) + spreads[0] ** 2 / 2 + spreads[1] ** 2 / 2)
    reach = stats.t(freedom).ppf(0.975) * variance**0.5
    assert found.difference == pytest.approx(gap)
    assert (found.low, found.high) == pytest.approx((gap - reach, gap + reach))
    assert found.p == pytest.approx(2 * stats.t(freedom).sf(abs(gap) / variance**0.5))


def test_one_clip_a_video_and_one_seed_is_the_paired_t_test() -> None:
    """The textbook's case, by scipy."""
    random = np.random.default_rng(0)
    ours, theirs = random.random(50) < 0.6, random.random(50) < 0.5
    found = difference(*put_together([result(ours)], [result(theirs)]))
    expected = stats.ttest_rel(ours.astype(float), theirs.astype(float))
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))


def test_many_videos_agree_with_a_bootstrap_that_redraws_them() -> None:
    random = np.random.default_rng(1)
    ours, theirs = two_rows(random, seeds=1, count=600, gap=0.5)
    found = difference(*put_together(ours, theirs))
    names, places = np.unique(ours[0].videos, return_inverse=True)
    gaps = np.bincount(places, ours[0].right.astype(float) - theirs[0].right)
    clips = np.bincount(places)
    drawn = random.integers(len(names), size=(4000, len(names)))
    low, high = np.quantile(gaps[drawn].sum(1) / clips[drawn].sum(1), [0.025, 0.975])
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.15 * (high - low) / 2)


def test_without_a_difference_few_are_found_and_a_large_one_is_seen() -> None:
    """3 seeds and 20 videos, at 5 %: 300 pairs of equal rows, and 100 of a row that is better by some 25 points."""
    random = np.random.default_rng(2)
    for seeds in (1, 3):
        # Seeds that differ would not show in a single one.
        trained = 0.3 if seeds > 1 else 0.0
        ps = [difference(*put_together(*two_rows(random, seeds=seeds, trained=trained))).p for _ in range(300)]
        assert np.mean(np.array(ps) < 0.05) <= 0.07
    ps = [difference(*put_together(*two_rows(random, gap=1.5))).p for _ in range(100)]
    assert np.mean(np.array(ps) < 0.05) >= 0.8


def test_the_interval_of_one_row_covers_the_truth() -> None:
    """Half of all clips are right in the long run; at most 8 % of 300 intervals may miss it."""
    random = np.random.default_rng(3)
    found = [interval(*put_together(two_rows(random, trained=0.2)[0])) for _ in range(300)]
    assert np.mean([not low <= 0.5 <= high for low, high in found]) <= 0.08


def test_clips_of_one_video_count_as_one() -> None:
    right = np.random.default_rng(4).random(30) < 0.6
    one, twenty = (
        interval(
            *put_together([result(np.repeat(right, times), videos=np.repeat([f"v{n}" for n in range(30)], times))])
        )
        for times in (1, 20)
    )
    assert one == pytest.approx(twenty)


def test_a_row_whose_videos_are_clips_has_wilsons_interval() -> None:
    """2000 videos: t is the normal quantile, and the jackknife's variance the binomial one, to 3 digits."""
    expected = stats.binomtest(700, 2000).proportion_ci(method="wilson")
    assert interval(*put_together([result(np.arange(2000) < 700)])) == pytest.approx(
        (expected.low, expected.high), abs=1e-4
    )


def test_seeds_that_differ_widen_the_interval_and_a_single_one_cannot() -> None:
    alike = [result(np.arange(40) % 2 == 0, seed=seed) for seed in range(3)]
    differ = [result(np.arange(40) % 4 < share, seed=share) for share in (1, 2, 3)]
    low, high = interval(*put_together(alike))
    assert interval(*put_together(alike[:1])) == pytest.approx((low, high))
    wider = interval(*put_together(differ))
    # Deviation 0.25 of three seeds, two degrees of freedom: 4.3 * 0.25 / sqrt(3) beside little else.
    assert wider[0] < 0.15 < low
    assert high < 0.85 < wider[1]


def test_entries_put_together_vary_as_entries_not_as_seeds() -> None:
    """Two random losses of two seeds each: the seeds agree, the losses do not."""
    found = [
        result(np.arange(40) < right, entry=entry, seed=seed)
        for entry, right in (("r1", 10), ("r2", 30))
        for seed in (0, 1)
    ]
    (together,) = put_together(found)
    assert (together.trainings, together.mean) == (2, 0.5)
    assert together.training_variance == pytest.approx(np.var([0.25, 0.75], ddof=1) / 2)


def test_a_seed_that_has_most_of_the_weight_brings_most_of_the_variance() -> None:
    """Seed 0 has 3/4 of the weight, seed 1 the rest; where both are known, they are 0.5 apart."""
    found = [
        result(np.arange(40) < right, seed=seed, split=split)
        for seed, split, right in ((0, 1, 20), (1, 1, 40), (0, 2, 8))
    ]
    (row,) = put_together(found)
    assert row.mean == pytest.approx((0.75 + 0.2) / 2)
    assert row.training_variance == pytest.approx((0.75**2 + 0.25**2) * np.var([0.5, 1], ddof=1))


@pytest.mark.parametrize("count", [FEWEST_VIDEOS, 40])
def test_all_right_all_wrong_and_equal_rows_still_have_an_interval(count: int) -> None:
    """No variance was seen, which is no proof that there is none."""
    right, wrong = [result(np.ones(count))], [result(np.zeros(count))]
    all_right, all_wrong = put_together(right, wrong)
    reach = stats.t(count - 1).ppf(0.975) ** 2 / (count + stats.t(count - 1).ppf(0.975) ** 2)
    assert interval(all_right) == pytest.approx((1 - reach, 1))
    assert interval(all_wrong) == pytest.approx((0, reach))
    same = difference(all_right, all_right)
    assert (same.difference, same.p) == (0, 1)
    assert (same.low, same.high) == pytest.approx((-reach, reach))
    most = difference(all_right, all_wrong)
    assert (most.difference, most.high) == pytest.approx((1, 1))
    assert most.low == pytest.approx(1 - reach)
    assert most.p >= max(2.0 ** (1 - count), SMALLEST_P)


def test_p_is_never_0() -> None:
    random = np.random.default_rng(6)
    many = difference(*put_together([result(random.random(5000) < 0.95)], [result(random.random(5000) < 0.05)]))
    assert many.p == SMALLEST_P


def test_too_few_videos_give_no_interval() -> None:
    """Five videos that all say the same do so in 1 of 16 cases without a reason."""
    videos = np.repeat([f"v{n}" for n in range(FEWEST_VIDEOS - 1)], 100)
    row, other = put_together([result(np.arange(500) % 3 == 0, videos=videos)], [result(np.zeros(500), videos=videos)])
    assert np.isnan(interval(row)).all()
    found = difference(row, other)
    assert found.difference == pytest.approx(167 / 500)
    assert np.isnan([found.low, found.high, found.p]).all()


def test_a_row_that_is_known_on_a_single_video_only_has_no_interval() -> None:
    """A network that failed on all splits but a tiny one is held against one that did not."""
    row, other = put_together([result([1, 0], videos=["a", "a"])], [result(np.arange(30) % 2 == 0)])
    assert np.isnan(difference(row, other).p)


def test_a_video_that_is_most_of_the_set_leaves_hardly_a_degree_of_freedom() -> None:
    """Else 19 other clips make an interval out of one video."""
    videos = np.array(["long"] * 400 + [f"v{n}" for n in range(19)])
    right = np.r_[np.ones(400), np.arange(19) % 2]
    row, other = put_together([result(right, videos=videos)], [result(1 - right, videos=videos)])
    found = difference(row, other)
    assert (found.low, found.high) == (-1, 1)
