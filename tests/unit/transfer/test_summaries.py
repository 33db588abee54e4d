"""Means with intervals, and rows against each other, as the report reads them."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pipeline_src.errors import UserError
from pipeline_src.transfer.answers import Answers, Truths, answers_of
from pipeline_src.transfer.intervals import difference, interval
from pipeline_src.transfer.summaries import (
    PAIRED,
    RANDOM_LOSSES,
    SUMMARY,
    fewer_labels_summary,
    paired_table,
    rows_of_lineup,
    summary_table,
)

KINDS = {"ours": "evolved", "r1": "random", "r2": "random", "raw pixels": "baseline"}
TWO = {"ours": "evolved", "uniform": "uniform"}


def answers(entry, right, *, seed=0, split=1, method="linear", clips=20, floor=0.1):
    """The first `right` of the clips are right; None: failed."""
    videos = np.array([f"v{n}" for n in range(clips)])
    found = None if right is None else np.arange(clips) < right
    return Answers("set", split, entry, seed, method, found, videos, floor)


def test_failed_seeds_are_counted_and_in_no_number() -> None:
    """A diverged seed pulled a row down in one table and not in the other."""
    found = [answers("ours", 16), answers("ours", None, seed=1), answers("uniform", 8), answers("uniform", 12, seed=1)]
    rows = rows_of_lineup(found, TWO)
    ours, theirs = summary_table(rows).to_dict("records")
    assert [ours[name] for name in ("results", "failed", "seeds", "mean")] == [1, 1, 1, 0.8]
    assert np.isnan(ours["sd"])
    assert [theirs[name] for name in ("results", "failed", "seeds", "mean")] == [2, 0, 2, 0.5]
    assert theirs["sd"] == pytest.approx(np.std([0.4, 0.6], ddof=1), abs=1e-6)
    (pair,) = paired_table(rows).to_dict("records")
    assert (pair["entry"], pair["other"], pair["difference"]) == ("ours", "uniform", 0.3)


def test_a_seed_that_is_left_of_several_gives_no_interval() -> None:
    """Else the row that diverged most often has the narrowest interval, and the verdict."""
    found = [answers("ours", 16, clips=400), *(answers("ours", None, seed=seed, clips=400) for seed in (1, 2))]
    found += [answers("uniform", 8 + seed, seed=seed, clips=400) for seed in range(3)]
    rows = rows_of_lineup(found, TWO)
    ours, theirs = summary_table(rows).to_dict("records")
    assert np.isnan([ours["low"], ours["high"]]).all()
    assert theirs["low"] < theirs["mean"] < theirs["high"]
    (pair,) = paired_table(rows).to_dict("records")
    assert pair["difference"] == pytest.approx(ours["mean"] - theirs["mean"], abs=1e-6)
    assert np.isnan([pair["low"], pair["high"], pair["p"]]).all()


def by_split(entry: str, right: dict[int, int | None], *, seed: int = 0) -> list[Answers]:
    """Splits of 20 clips each of other videos."""
    found = [answers(entry, count, seed=seed, split=split) for split, count in right.items()]
    return [replace(a, videos=np.char.add(f"split{a.split}", a.videos)) for a in found]


def test_rows_are_held_against_each_other_on_splits_that_both_have_a_result_of() -> None:
    """A row that failed on the hard split won by a mile against the same answers."""
    rows = rows_of_lineup(by_split("ours", {1: None, 2: 14, 3: 14}) + by_split("uniform", {1: 4, 2: 14, 3: 14}), TWO)
    ours, theirs = summary_table(rows).to_dict("records")
    assert [ours[name] for name in ("splits", "all_splits", "mean")] == [2, 3, 0.7]
    assert [theirs[name] for name in ("splits", "all_splits", "clips")] == [3, 3, 60]
    (pair,) = paired_table(rows).to_dict("records")
    assert [pair[n] for n in ("splits", "clips", "source_videos", "top1", "other_top1")] == [2, 40, 40, 0.7, 0.7]
    assert (pair["difference"], pair["p"]) == (0, 1)
    rows = rows_of_lineup(by_split("ours", {1: None, 2: 14}) + by_split("uniform", {1: 4, 2: None}), TWO)
    assert paired_table(rows).empty


def test_a_seed_that_is_missing_on_one_split_does_not_change_the_weight_of_splits() -> None:
    """A seed that failed on the hard split made the row better."""
    found = by_split("ours", {1: 4, 2: 16}) + by_split("ours", {1: None, 2: 16}, seed=1)
    (row,) = rows_of_lineup(found, {"ours": "evolved"})
    assert row.accuracy.mean == pytest.approx(0.5)


def test_a_split_that_few_seeds_were_tested_on_is_no_spread_of_seeds() -> None:
    """Seeds that agree wherever they can be compared are equal, though one of them met the hard split alone."""
    found = by_split("ours", {1: 4, 2: 16}) + by_split("ours", {1: None, 2: 16}, seed=1)
    (row,) = rows_of_lineup(found, {"ours": "evolved"})
    assert (row.accuracy.trainings, row.accuracy.training_variance) == (2, 0)
    apart = by_split("ours", {1: 4, 2: None}) + by_split("ours", {1: None, 2: 16}, seed=1)
    (row,) = rows_of_lineup(apart, {"ours": "evolved"})
    assert np.isnan(interval(row.accuracy)).all()
    assert np.isnan(difference(row.accuracy, row.accuracy).p)


def test_a_row_without_any_result_stays_and_is_held_against_nothing() -> None:
    rows = rows_of_lineup([answers("ours", None, floor=0.25), answers("uniform", 8)], TWO)
    ours = summary_table(rows).iloc[0]
    assert (ours["results"], ours["failed"], ours["clips"], ours["floor"]) == (0, 1, 0, 0.25)
    assert ours[["mean", "sd", "low", "high"]].isna().all()
    assert paired_table(rows).empty


def test_random_losses_together_are_a_row_that_is_not_held_against_its_own() -> None:
    found = [answers(entry, right) for entry, right in (("raw pixels", 2), ("r2", 4), ("r1", 8), ("ours", 14))]
    rows = rows_of_lineup(found, KINDS)
    table = summary_table(rows)
    assert table["entry"].tolist() == [*KINDS, RANDOM_LOSSES]
    assert table.set_index("entry").loc[RANDOM_LOSSES, ["kind", "mean", "results"]].tolist() == ["random", 0.3, 2]
    pairs = set(paired_table(rows)[["entry", "other"]].itertuples(index=False, name=None))
    assert ("ours", RANDOM_LOSSES) in pairs
    assert not {("r1", RANDOM_LOSSES), ("r2", RANDOM_LOSSES)} & pairs
    one = {name: kind for name, kind in KINDS.items() if name != "r2"}
    assert RANDOM_LOSSES not in summary_table(rows_of_lineup(found[2:], one))["entry"].tolist()


def test_splits_count_once_and_results_weigh_alike() -> None:
    """A split of 20 clips and one of 10, two seeds: 30 clips, and 4 results of equal weight."""
    found = [
        answers("ours", right, seed=seed, split=split, clips=clips)
        for seed, split, clips, right in ((0, 1, 20, 20), (1, 1, 20, 20), (0, 2, 10, 5), (1, 2, 10, 5))
    ]
    row = summary_table(rows_of_lineup(found, KINDS)).iloc[0]
    assert row[["results", "seeds", "splits", "clips", "source_videos", "mean"]].tolist() == [4, 2, 2, 30, 20, 0.75]
    assert row["low"] < 0.75 < row["high"]


def test_methods_and_collections_are_apart_and_no_results_give_columns() -> None:
    found = [answers("ours", 5, method="finetune"), answers("uniform", 5), answers("ours", 9)]
    rows = rows_of_lineup([*found, answers("uniform", 9, method="x")], TWO)
    assert summary_table(rows)["method"].tolist() == ["linear", "finetune", "linear", "x"]
    assert len(paired_table(rows)) == 1
    assert tuple(summary_table([]).columns) == SUMMARY
    assert tuple(paired_table([]).columns) == PAIRED


def test_each_part_of_the_labels_has_its_own_rows() -> None:
    """Clips of 5 labels a class and of 10 are the same clips, and would be put together."""
    found = [("5shot", answers("ours", 5)), ("10shot", answers("ours", 15)), ("5shot", answers("ours", 7, seed=1))]
    table = fewer_labels_summary(found, {"ours": "evolved"})
    assert table[["labels", "results", "mean"]].to_numpy().tolist() == [["5shot", 2, 0.3], ["10shot", 1, 0.75]]
    assert (table["low"] < table["mean"]).all()
    assert tuple(fewer_labels_summary([], TWO).columns) == ("labels", *SUMMARY)


class Small:
    """A labelled set of two test clips."""

    folder = type("Folder", (), {"name": "set"})
    clips = pd.DataFrame(
        {
            "clip_id": ["x", "y", "a", "b"],
            "label": ["run", "jump", "run", "jump"],
            "source_video": ["v", "", "w", "w"],
            "split_1": ["test", "test", "train", "train"],
        }
    )


BASE = {"collection": "set", "split": 1, "seed": 0, "entry": "ours", "method": "linear", "chance": 0.5, "majority": 0.2}


def test_answers_are_held_against_the_truth() -> None:
    truths = Truths([Small()])
    found = answers_of("f", {**BASE, "top1": 0.5, "predictions": ["run", "run"]}, truths)
    assert found.right.tolist() == [True, False]
    assert found.videos.tolist() == ["v", "y"]
    assert found.floor == 0.5
    assert answers_of("f", {**BASE, "top1": None, "predictions": []}, truths).right is None


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"predictions": ["run"]}, "f: predictions: 1 - allowed: one for each of 2 test clips"),
        ({"predictions": []}, "f: predictions: 0 - allowed"),
        ({"predictions": None}, "f: predictions: None - allowed"),
        ({"top1": 0.9}, "f: top1: 0.9 - allowed: 0.500000"),
        ({"top1": float("nan")}, "f: top1: nan - allowed"),
        ({"top1": "0.5"}, "f: top1: 0.5 - allowed"),
        ({"collection": "other"}, "collection: 'other' - allowed: set"),
        ({"split": 2}, "split: 2 - allowed in set: 1"),
    ],
)
def test_results_of_other_clips_are_refused(changed, told) -> None:
    """Else a stale or broken file becomes a number of the report."""
    with pytest.raises(UserError, match=told):
        answers_of("f", {**BASE, "top1": 0.5, "predictions": ["run", "run"], **changed}, Truths([Small()]))


def test_what_is_no_result_is_told() -> None:
    for broken in ({"entry": "ours"}, [1], None):
        with pytest.raises(UserError, match="f: no transfer result, lacks"):
            answers_of("f", broken, Truths([Small()]))
