"""What the page shows beside the table of results."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from pipeline_src.report import tables
from pipeline_src.report.captions import TABLES
from pipeline_src.report.findings import transfer_findings
from pipeline_src.report.gather import gather
from pipeline_src.report.population import MOST, population
from pipeline_src.report.protocol_figures import confusion_figure, fewer_labels_figure, pool_figure, recall_figure
from pipeline_src.report.tidy import tidy_tables

Make = Callable[..., Any]


def test_recall_and_fewer_labels_are_told_with_their_numbers(fake_run: Make) -> None:
    facts = gather(fake_run().write())
    (recall,) = recall_figure(facts, "motions")
    assert "evolved 31.0 % at k = 1, 35.0 % at k = 5" in recall.description
    (fewer,) = fewer_labels_figure(facts, "motions")
    # The last point is the result from all labels.
    assert "evolved 20.0 % at 40 clips, 25.0 % at 75 clips, 35.0 % at 150 clips" in fewer.description


def test_parts_of_the_pool_are_drawn_where_there_are_any(fake_run: Make) -> None:
    assert pool_figure(gather(fake_run().write()), "motions") == []
    lineup = [
        {"name": "evolved", "kind": "evolved"},
        {"name": "half", "kind": "evolved", "pool_fraction": 0.5},
        {"name": "tenth", "kind": "evolved", "pool_fraction": 0.1, "pool_fixed": "epochs"},
    ]
    run = fake_run(lineup=lineup)
    run.top1 = lambda entry, seed, method: {"evolved": 0.6, "half": 0.5, "tenth": 0.4}[entry]
    panels = pool_figure(gather(run.write()), "motions")
    assert "evolved, as many iterations 50.0 % at 50 %, 60.0 % at 100 %" in panels[0].description
    assert "evolved, as many epochs 40.0 % at 10 %, 60.0 % at 100 %" in panels[0].description


def test_confusions_are_counted_against_the_truth(fake_run: Make) -> None:
    """Of 20 test clips (every other one of 40) with classes in turn, predictions are those of clips in turn."""
    facts = gather(fake_run().write())
    found = facts.protocols.confusions["motions"]
    wanted = np.zeros((3, 3), int)
    for number in range(20):
        wanted[(2 * number + 1) % 3, number % 3] += 1
    np.testing.assert_array_equal(found.counts, wanted)
    assert found.classes == ["bounce", "orbit", "zoom"]
    assert found.most_confused(1)[0][:2] == ("bounce", "orbit")
    assert "Named rightly: bounce 0.0 %, orbit 0.0 %, zoom 100.0 %" in confusion_figure(facts, "motions")[0].description


def test_differences_are_those_of_the_shown_entry(fake_run: Make) -> None:
    rows = tables.paired_rows(gather(fake_run(lineup=[{"name": "scratch", "kind": "scratch"}]).write()), "motions")
    assert [row.other for row in rows] == ["frame count", "raw pixels"]
    assert [cell is None for cell in rows[-1].cells] == [False, False, True, True, True]
    terms = {"rgb-to-flow": "rgb>flow.translate", "shuffle": "rgb.shuffle"}
    singles = [{"name": name, "kind": "single", "term": term} for name, term in terms.items()]
    turned = [*singles, {"name": "evolved", "kind": "evolved"}]
    run = fake_run(lineup=turned)
    run.top1 = lambda entry, seed, method: 0.6 if entry == "evolved" else 0.3
    cell = tables.paired_rows(gather(run.write()), "motions")[0].cells[0]
    assert cell is not None
    assert (cell.gap, cell.verdict) == (pytest.approx(0.3), "better")


def test_rows_of_the_findings_are_not_told_twice(fake_run: Make) -> None:
    """Of several single terms and draws of the random loss, the findings show the best and the mean."""
    facts = gather(fake_run().write())
    assert [row.other for row in tables.paired_rows(facts, "motions")] == ["rgb-to-flow", "shuffle"]
    told = {label for label, _ in transfer_findings(facts)[0].comparisons}
    assert {"uniform", "random loss", "the best of 2 single terms", "scratch", "frame count", "raw pixels"} == told


def test_probes_have_a_row_of_chance_and_one_for_each_entry(fake_run: Make) -> None:
    rows = tables.probe_rows(gather(fake_run().write()), "motions")
    assert [row.entry for row in rows[:2]] == ["chance", "evolved"]
    assert rows[0].top1["order"] == 0.25
    assert (rows[1].top1["motion"], rows[1].rank_correlation, rows[1].scores) == (0.4, 0.6, [-1, 0, 1, 2])


def test_a_long_search_is_thinned_out_but_keeps_every_generation_s_best(fake_run: Make) -> None:
    facts = gather(fake_run(search={"population": 60, "generations": 100}).write())
    text = population(facts)
    assert text is not None
    individuals = json.loads(text)["individuals"]
    assert len(individuals) <= MOST < 6000
    best = facts.finalists.groupby("generation")["fitness"].max()
    for generation, value in best.items():
        shown = max(one["f"] for one in individuals if one["g"] == generation)
        assert shown == pytest.approx(value, abs=1e-6)


def test_the_page_s_numbers_are_also_tidy_tables(fake_run: Make) -> None:
    facts = gather(fake_run().write())
    found = tidy_tables(facts)
    assert set(found) == set(TABLES)
    row = found["comparisons"].set_index(["other", "method"]).loc[("random loss", "linear")]
    assert (row["ours"], row["against"], row["gap"], row["verdict"]) == (0.35, 0.35, 0, "within noise")
    assert row["low"] < 0 < row["high"]
    ranks = found["correlations"].set_index(["with", "method"])
    assert ranks.loc[("weak", ""), ["over", "count"]].tolist() == ["individuals", 12]
    assert ranks.loc[("weak", ""), "spearman"] > 0.5
    # Every entry has the same top-1.
    assert ranks.loc[("top1", "linear"), ["over", "count"]].tolist() == ["entries", 6]
    assert ranks.loc[("top1", "linear"), "spearman"] != ranks.loc[("top1", "linear"), "spearman"]
    assert found["confusions"]["clips"].sum() == 20
    assert set(found["fitness"]["about"]) == {"control", "entry"}
    assert found["losses"]["raw"].notna().all()
    assert found["clips"].set_index(["collection", "outcome"]).loc[("pool", "planned"), "clips"] == 300
    assert found["costs"]["seconds"].sum() == pytest.approx(sum(job.seconds for job in facts.jobs))


def test_what_limits_the_results_is_in_tidy_tables_too(fake_run: Make) -> None:
    """“All its numbers as CSV”: the largest top-1 that a split allows, and what the pool shares with it."""
    run = fake_run()
    run.unseen = {1: (20, ["orbit", "zoom, fast"])}
    facts = gather(run.write())
    facts.overlap["motions"]["split_1"]["shared_source_videos"]["train"] = 3
    facts.overlap["motions"]["split_1"]["source_videos_in_train_and_test"] = 2
    found = tidy_tables(facts)
    (split,) = found["splits"].to_dict("records")
    assert (split["collection"], split["split"], split["test_clips"], split["classes"]) == ("motions", 1, 80, 8)
    assert (split["unseen_clips"], split["unseen_classes"], split["highest_top1"]) == (20, "orbit; zoom, fast", 0.75)
    assert (split["chance"], split["majority"]) == (0.125, 0.15)
    counts = found["overlap"].set_index(["collection", "split", "shared", "part"])["count"]
    assert counts[("motions", 1, "source videos of the pool", "train")] == 3
    assert counts[("motions", 1, "source videos of train and test", "")] == 2
    assert counts.sum() == 5


def test_fewer_labels_are_drawn_with_their_intervals(fake_run: Make) -> None:
    """A line without bars looks certain."""
    (panel,) = fewer_labels_figure(gather(fake_run().write()), "motions")
    assert panel.svg.count('id="LineCollection_') == 6
    assert "20.0 % at 40 clips" in panel.description
