"""When the page calls a difference a difference."""

import pandas as pd
import pytest

from pipeline_src.report.comparison import compare, rivals, score, scores


def table(*rows: tuple[str, str, int, int, float | None], clips: int = 100) -> pd.DataFrame:
    """Results by one layer: entry, kind, split, seed, top1."""
    frame = pd.DataFrame(rows, columns=["entry", "kind", "split", "seed", "top1"])
    return frame.assign(
        top1=frame["top1"].astype(float), method="linear", test_clips=float(clips), chance=0.1, majority=0.2
    )


def verdict(first: list[float], second: list[float], clips: int = 100) -> str:
    """Of evolved against random with these results by seed."""
    rows = [("evolved", "evolved", 1, seed, value) for seed, value in enumerate(first)]
    rows += [("random", "random", 1, seed, value) for seed, value in enumerate(second)]
    results = table(*rows, clips=clips)
    return compare(scores(results, ["evolved"]), rivals(results)[0])[0].verdict


def test_a_large_gap_is_a_difference_and_a_small_one_is_not() -> None:
    """50 against 40 of 100 clips is noise (interval -4 to +23 points); 70 against 40 is not."""
    assert verdict([0.5], [0.4]) == "within noise"
    assert verdict([0.7], [0.4]) == "better"
    assert verdict([0.4], [0.7]) == "worse"


def test_more_seeds_are_not_more_test_clips() -> None:
    """Ten seeds on the same 100 clips would look like 1000 clips."""
    assert verdict([0.5] * 10, [0.4] * 10) == "within noise"
    assert verdict([0.5], [0.4], clips=1000) == "better"


def test_scatter_over_seeds_can_hide_a_gap() -> None:
    """The test clips alone would call it better; the seeds say it is luck."""
    assert verdict([0.9, 0.3], [0.4, 0.2], clips=5000) == "within noise"


def test_score_by_hand() -> None:
    """Mean, deviation with n - 1, failed runs, and the larger of chance and majority."""
    found = score(table(("a", "uniform", 1, 0, 0.2), ("a", "uniform", 2, 0, 0.4), ("a", "uniform", 2, 1, None)))
    assert found.mean == pytest.approx(0.3)
    assert found.sd == pytest.approx(0.1414214)
    assert (found.runs, found.failed, found.test_clips, found.floor) == (2, 1, 100, 0.2)
    assert not found.near_chance
    assert score(table(("a", "uniform", 1, 0, 0.25))).near_chance


def test_a_score_without_any_run_has_no_mean() -> None:
    """A diverged entry would break the page."""
    found = score(table(("a", "uniform", 1, 0, None)))
    assert (found.mean, found.low, found.near_chance) == (None, None, False)


def test_rivals_pool_random_draws_and_name_the_best_single() -> None:
    """Evolved would be held against the weakest of several baselines."""
    results = table(
        ("evolved", "evolved", 1, 0, 0.5),
        ("r1", "random", 1, 0, 0.2),
        ("r2", "random", 1, 0, 0.4),
        ("s1", "single", 1, 0, 0.3),
        ("s2", "single", 1, 0, 0.6),
        ("uniform", "uniform", 1, 0, 0.1),
    )
    found = {rival.label: rival for rival in rivals(results)}
    assert list(found) == ["random loss (mean of 2 draws)", "the best of 2 single terms", "uniform"]
    assert found["random loss (mean of 2 draws)"].scores["linear"].mean == pytest.approx(0.3)
    assert found["the best of 2 single terms"].scores["linear"].mean == pytest.approx(0.6)
    assert found["the best of 2 single terms"].chosen_by_test
