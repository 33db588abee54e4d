"""When the page calls a difference a difference."""

import numpy as np
import pandas as pd
import pytest

from pipeline_src.report.comparison import against, compare, lineup_of, rivals, scores
from pipeline_src.transfer.answers import Answers
from pipeline_src.transfer.summaries import RANDOM_LOSSES, paired_table, rows_of_lineup, summary_table

KINDS = {
    "evolved": "evolved",
    "r1": "random",
    "r2": "random",
    "s1": "single",
    "s2": "single",
    "uniform": "uniform",
    "half": "evolved",
}


def tables(*rows: tuple[str, int, float | None], videos: int = 50) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Summary and pairs of results by one layer: entry, seed, top1; two clips of each source video."""
    found = []
    for number, (entry, seed, top1) in enumerate(rows):
        random = np.random.default_rng(number).random(videos)
        right = None if top1 is None else np.repeat(random.argsort().argsort() < top1 * videos, 2)
        names = np.repeat([f"v{n}" for n in range(videos)], 2)
        found.append(Answers("set", 1, entry, seed, "linear", right, names, 0.2))
    lines = rows_of_lineup(found, {name: kind for name, kind in KINDS.items() if name in {row[0] for row in rows}})
    return summary_table(lines), paired_table(lines)


def verdict(first: list[float | None], second: list[float | None], videos: int = 50) -> str:
    """Of evolved against uniform with these results by seed."""
    rows = [("evolved", seed, value) for seed, value in enumerate(first)]
    rows += [("uniform", seed, value) for seed, value in enumerate(second)]
    summary, paired = tables(*rows, videos=videos)
    (found,) = compare(summary, paired, "evolved", rivals(summary, "evolved")[0])
    return found.verdict


def test_a_large_gap_is_a_difference_and_a_small_one_is_not() -> None:
    assert verdict([0.5], [0.4]) == "within noise"
    assert verdict([0.9], [0.4]) == "better"
    assert verdict([0.4], [0.9]) == "worse"
    assert verdict([0.9], [0.1], videos=4) == "too few source videos"


def test_one_seed_left_of_several_is_no_verdict() -> None:
    """A row of which most trainings diverged would win by what is left."""
    assert verdict([0.9, None, None], [0.3, 0.4, 0.3]) == "too few seeds left"


def test_scatter_over_seeds_can_hide_a_gap() -> None:
    """The test clips alone would call it better; the seeds say it is luck."""
    assert verdict([0.6, 0.6], [0.3, 0.3], videos=2000) == "better"
    assert verdict([0.9, 0.3], [0.4, 0.2], videos=2000) == "within noise"


def test_a_score_is_a_line_of_the_summary() -> None:
    """A diverged entry would break the page, and empty cells are no numbers."""
    summary, paired = tables(("evolved", 0, None), ("uniform", 0, 0.3), ("uniform", 1, 0.2), ("uniform", 2, None))
    failed = scores(summary, "evolved")["linear"]
    assert (failed.mean, failed.low, failed.near_chance, failed.failed) == (None, None, False, 1)
    found = scores(summary, "uniform")["linear"]
    assert (found.results, found.failed, found.source_videos, found.floor) == (2, 1, 50, 0.2)
    assert (found.mean, found.sd) == pytest.approx((0.25, 0.0707107), abs=1e-6)
    assert found.near_chance
    assert against(summary, paired, "evolved", "uniform") == {}


def test_a_difference_is_turned_round_where_the_table_has_it_the_other_way() -> None:
    summary, paired = tables(("evolved", 0, 0.8), ("uniform", 0, 0.3))
    one, other = against(summary, paired, "evolved", "uniform"), against(summary, paired, "uniform", "evolved")
    there, back = one["linear"], other["linear"]
    assert (there.gap, there.low, there.high, there.p) == (-back.gap, -back.high, -back.low, back.p)
    assert (there.ours, there.against, back.ours) == (0.8, 0.3, 0.3)
    assert there.low < there.gap < there.high


def test_rivals_pool_random_draws_and_name_the_best_single() -> None:
    """Evolved would be held against the weakest of several baselines, or be one with its own part of the pool."""
    values = {"evolved": 0.5, "r1": 0.2, "r2": 0.4, "s1": 0.3, "s2": 0.6, "uniform": 0.1, "half": 0.4}
    summary, paired = tables(*((name, 0, value) for name, value in values.items()))
    found = {rival.label: rival for rival in rivals(summary, "evolved")}
    assert list(found) == ["random loss (mean of 2 draws)", "the best of 2 single terms", "uniform", "half"]
    random, single = found["random loss (mean of 2 draws)"], found["the best of 2 single terms"]
    assert (random.random, single.chosen_by_test, single.rows) == (True, True, {"linear": "s2"})
    assert compare(summary, paired, "evolved", random)[0].against == pytest.approx(0.3)
    assert compare(summary, paired, "evolved", single)[0].gap == pytest.approx(-0.1)
    assert RANDOM_LOSSES not in lineup_of(summary, "set")["entry"].tolist()


def by_split(**top1: tuple[float | None, ...]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Summary and pairs by entry, from the top-1 on each split of 20 videos of its own."""
    found = []
    for entry, values in top1.items():
        for split, value in enumerate(values, 1):
            right = None if value is None else np.arange(20) < value * 20
            names = np.array([f"split{split}video{n}" for n in range(20)])
            found.append(Answers("set", split, entry, 0, "linear", right, names, 0.2))
    rows = rows_of_lineup(found, {name: KINDS[name] for name in top1})
    return summary_table(rows), paired_table(rows)


def test_a_comparison_has_the_means_of_the_splits_that_it_is_made_on() -> None:
    """Else 70 % against 50 % differ by 0 points."""
    summary, paired = by_split(evolved=(None, 0.7), uniform=(0.3, 0.7))
    (found,) = compare(summary, paired, "evolved", rivals(summary, "evolved")[0])
    assert (found.ours, found.against, found.gap) == (0.7, 0.7, 0)
    assert (found.splits, found.all_splits, found.partial) == (1, 2, True)


def test_the_best_single_term_has_a_result_on_every_split() -> None:
    """The term that skipped the hard split would be the best."""
    summary, _ = by_split(evolved=(0.5, 0.5), s1=(0.3, 0.6), s2=(None, 0.9))
    (single,) = rivals(summary, "evolved")
    assert single.rows == {"linear": "s1"}
    summary, _ = by_split(evolved=(0.5, 0.5), s1=(0.3, None), s2=(None, 0.9))
    (single,) = rivals(summary, "evolved")
    assert (single.rows, single.methods) == ({}, ("linear",))
