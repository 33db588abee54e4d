"""Rows of the page's tables."""

from collections.abc import Callable
from typing import Any

import pytest

from pipeline_src.report import tables
from pipeline_src.report.comparison import lineup_of
from pipeline_src.report.gather import Model, gather
from pipeline_src.report.phrases import points

Make = Callable[..., Any]
FEW = {"loss": {"terms": ["rgb.shuffle", "rgb>flow.translate", "distill.flow.layer1"]}}


def test_the_best_of_each_column_is_marked_once_and_baselines_have_no_fine_tuning(fake_run: Make) -> None:
    """A reader would look at the wrong row."""
    run = fake_run(**FEW)
    run.top1 = lambda entry, seed, method: 0.7 if entry == "uniform" else 0.4
    lineup = lineup_of(gather(run.write()).protocols.summary, "motions")
    rows = {row.entry: row for row in tables.results_table(lineup, {"shuffle": "rgb.shuffle"})}
    assert [row.entry for row in rows.values() if any(row.best)] == ["uniform"]
    assert rows["shuffle"].about == "only rgb.shuffle"
    lineup.loc[lineup["entry"] == "uniform", "all_splits"] = 2
    best = [row.entry for row in tables.results_table(lineup, {}) if any(row.best)]
    assert "uniform" not in best, "it may have failed on the hard split"
    assert "evolved" in best
    assert [cell is None for cell in rows["raw pixels"].cells] == [False, False, True, True, True]


def test_fitness_is_averaged_over_seeds(fake_run: Make) -> None:
    """Every seed would be a row of its own, or one would stand for all."""
    run = fake_run(**FEW, seeds=[0, 1])
    facts = gather(run.write())
    facts.models[0].fitness.update(fitness=-0.1, status="unstable", reason="why")
    facts.models[1].fitness.update(fitness=-0.3)
    rows = tables.fitness_table(facts)
    assert [row.name for row in rows][:5] == [
        "untrained network",
        "raw pixels",
        "constant vectors",
        "random vectors",
        "evolved",
    ]
    evolved = rows[4]
    assert evolved.values[0] == "−0.200 ± 0.141"
    assert (evolved.status, evolved.reason) == ("1 unstable and 1 ok", "why")


def test_start_and_end_of_a_loss_by_hand() -> None:
    """Means of the first and last five of twelve logged values, a missing one left out."""
    raw: list[float | None] = [10, 10, 10, 10, 10, None, 5, 2, 2, 2, 2, 2]
    steps = [
        {"iteration": place, "terms": {} if value is None else {"audio~rgb.align": {"raw": value}}}
        for place, value in enumerate(raw)
    ]
    model = Model("e", "evolved", 0, {"audio~rgb.align": 0.5}, steps, {}, {}, {})
    (row,) = tables.loss_table([model])
    assert (row.first, row.last, row.weight, row.change) == (10, 2, 0.5, "−80 %")


def test_weights_that_the_paper_speaks_of() -> None:
    """The comparison would show other terms' weights. Layers 1 and 2 are early; 3, 4 and the embedding late."""
    weights = {
        "rgb.shuffle": 0.9,
        "distill.grey.layer1": 0.2,
        "distill.grey.layer2": 0.4,
        "distill.grey.embedding": 1.0,
    }
    rows = tables.paper_weights(weights)
    assert [(row[0], row[3]) for row in rows] == [
        ("rgb.shuffle", "0.90"),
        ("distill.grey.*", "mean 0.30 in layers 1–2, 1.00 later"),
    ]


def test_failed_and_silent_clips_are_counted_per_collection(fake_run: Make) -> None:
    """A pool that lost its clips or its sound would look whole."""
    run = fake_run(**FEW)
    run.failed = {
        "pool": [("a", "missing", ""), ("b", "missing", ""), ("c", "undecodable", "")],
        "motions": [("d", "no_video", "")],
    }
    statuses, rows = tables.clip_counts(gather(run.write()).collections)
    assert statuses == ["missing", "no_video", "undecodable"]
    assert [(row["name"], row["usable"], row["silent"], row["counts"]) for row in rows] == [
        ("pool", 297, 7, [2, 0, 1]),
        ("motions", 299, None, [0, 1, 0]),
    ]


@pytest.mark.parametrize(
    ("fraction", "expected"), [(0.0004, "0.0"), (-0.0004, "0.0"), (0.051, "+5.1"), (-0.2, "−20.0")]
)
def test_points_have_a_sign_unless_they_are_zero(fraction: float, expected: str) -> None:
    """−0.0 points would read as a loss."""
    assert points(fraction) == expected
