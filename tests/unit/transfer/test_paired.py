"""Entries against each other on the same clips."""

import numpy as np
import pandas as pd
import pytest

from pipeline_src.transfer.paired import Answers, answers_of, paired_table


def answers(entry, right, *, seed=0, split=1, videos=None):
    right = np.asarray(right, bool)
    names = np.array([f"v{n}" for n in range(len(right))]) if videos is None else np.asarray(videos)
    return Answers("set", split, entry, seed, "linear", right, names)


def test_the_difference_and_its_interval_are_those_of_the_normal_approximation():
    """Many videos of one clip each: the bootstrap's interval is mean +- 1.96 deviations."""
    random = np.random.default_rng(0)
    ours, theirs = random.random(2000) < 0.6, random.random(2000) < 0.5
    row = paired_table([answers("ours", ours), answers("theirs", theirs)], ["ours", "theirs"], 0).iloc[0]
    gap = ours.astype(float) - theirs
    reach = 1.96 * gap.std() / np.sqrt(2000)
    assert (row["entry"], row["other"], row["clips"], row["source_videos"]) == ("ours", "theirs", 2000, 2000)
    assert row["difference"] == pytest.approx(gap.mean(), abs=1e-6)
    assert row["low"] == pytest.approx(gap.mean() - reach, abs=0.003)
    assert row["high"] == pytest.approx(gap.mean() + reach, abs=0.003)
    assert row["p"] < 0.001


def test_clips_of_one_video_count_as_one_draw():
    right = np.repeat(np.random.default_rng(1).random(30) < 0.6, 20)
    videos = np.repeat([f"v{n}" for n in range(30)], 20)
    widths = []
    for names in (None, videos):
        none = answers("b", np.zeros(600), videos=names)
        row = paired_table([answers("a", right, videos=names), none], ["a", "b"], 0).iloc[0]
        widths.append(row["high"] - row["low"])
    assert widths[1] == pytest.approx(np.sqrt(20) * widths[0], rel=0.1)


def test_seeds_and_splits_are_averaged_and_seeds_redrawn():
    """Two seeds that differ wholly: the difference lies anywhere between."""
    found = [
        *(answers("a", np.full(50, seed), seed=seed, split=split) for seed in (0, 1) for split in (1, 2)),
        *(answers("b", np.zeros(50), seed=seed, split=split) for seed in (0, 1) for split in (1, 2)),
    ]
    row = paired_table(found, ["a", "b"], 0).iloc[0]
    assert (row["difference"], row["low"], row["high"], row["clips"]) == (0.5, 0.0, 1.0, 100)
    # Both seeds are 0 in a quarter of the draws.
    assert row["p"] == pytest.approx(0.5, abs=0.05)


def test_equal_entries_do_not_differ_and_failed_ones_name_nothing():
    test = pd.DataFrame({"clip_id": ["x", "y"], "label": ["run", "jump"], "source_video": ["v", ""]})
    base = {"collection": "set", "split": 1, "seed": 0, "method": "linear"}
    found = answers_of({**base, "entry": "a", "predictions": ["run", "run"]}, test)
    failed = answers_of({**base, "entry": "b", "predictions": []}, test)
    assert found.right.tolist() == [True, False]
    assert failed.right.tolist() == [False, False]
    assert found.videos.tolist() == ["v", "y"]
    row = paired_table([found, answers_of({**base, "entry": "b", "predictions": ["run", "run"]}, test)], ["a", "b"], 0)
    assert row[["difference", "low", "high", "p"]].to_numpy().tolist() == [[0, 0, 0, 1]]
