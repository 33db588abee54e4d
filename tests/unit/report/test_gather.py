"""What the report reads of a run."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from pipeline_src.errors import UserError
from pipeline_src.report.gather import gather
from pipeline_src.report.summary import facts_list

Make = Callable[..., Any]
FEW = {"loss": {"terms": ["rgb.shuffle", "rgb>flow.translate", "distill.flow.layer1"]}}


def test_individuals_keep_their_own_weights_and_measures(fake_run: Make) -> None:
    """A row's weights would belong to another individual: every weight figure would be wrong."""
    run = fake_run(**FEW)
    run.kl = lambda g, i: None if (g, i) == (0, 0) else 1.0 - 0.1 * i
    facts = gather(run.write())
    assert len(facts.individuals) == 12
    first = facts.individuals[facts.individuals["generation"] == 0]
    assert first["individual"].tolist() == [3, 2, 1, 0]
    assert first["zipf"].tolist()[:3] == pytest.approx([-0.7, -0.8, -0.9])
    assert first["fitness"].isna().tolist() == [False, False, False, True]
    best = facts.weights.loc[first.index[0]]
    assert facts.best is not None
    assert facts.best["weights"] == pytest.approx(best.to_dict())


def test_results_know_their_test_clips_and_chance(fake_run: Make) -> None:
    """Without them there are no intervals."""
    facts = gather(fake_run(**FEW).write())
    assert set(facts.results["test_clips"]) == {80}
    assert set(facts.results["chance"]) == {0.125}
    assert {"frame count", "raw pixels"} < set(facts.results["entry"])


def test_a_diverged_evaluation_stays_without_value(fake_run: Make) -> None:
    """A failed training would count as 0 % or vanish."""
    run = fake_run(**FEW)
    run.top1 = lambda entry, seed, method: None if entry == "random" else 0.5
    results = gather(run.write()).results
    assert results.loc[results["entry"] == "random", "top1"].isna().all()
    assert results.loc[results["entry"] == "evolved", "top1"].eq(0.5).all()


def test_names_that_look_like_numbers_or_nothing_stay_text(fake_run: Make) -> None:
    """A clip called null would disappear from the table of failed clips."""
    run = fake_run(**FEW)
    run.failed = {"pool": [("null", "undecodable", "nan"), ("007", "missing", "")]}
    failed = gather(run.write()).collections[0].failed
    assert failed.to_dict("records") == [
        {"clip_id": "null", "status": "undecodable", "reason": "nan"},
        {"clip_id": "007", "status": "missing", "reason": ""},
    ]


def test_spare_candidates_and_clips_that_came_later_have_not_failed(fake_run: Make) -> None:
    """A clip that failed at first and came when it was tried again was shown as failed."""
    run = fake_run(**FEW)
    run.failed = {"pool": [("spare", "spare", ""), ("later", "rate_limited", "429"), ("gone", "timed_out", "first")]}
    settings = run.write()
    folder = run.data / "pool"
    index = json.loads((folder / "index.json").read_text())
    index["shards"].append({"shard": "000000r01", "clips": 2})
    (folder / "index.json").write_text(json.dumps(index))
    again = "clip_id,status,reason\nlater,ok,\ngone,unavailable,second\n"
    (folder / "status/decode/000000r01.csv").write_text(again)
    failed = gather(settings).collections[0].failed
    assert failed.to_dict("records") == [{"clip_id": "gone", "status": "unavailable", "reason": "second"}]


def test_status_files_of_shards_outside_the_index_are_not_read(fake_run: Make) -> None:
    """Failures of an older plan would be shown as this run's."""
    run = fake_run(**FEW)
    settings = run.write()
    (run.data / "pool/status/decode/000009.csv").write_text("clip_id,status,reason\nold,missing,gone\n")
    assert gather(settings).collections[0].failed.empty


@pytest.mark.parametrize(
    "name", ["transfer/results.csv", "search/controls.json", "models/evolved/seed_0/metrics.jsonl"]
)
def test_a_missing_file_is_named(fake_run: Make, name: str) -> None:
    """The user would see a traceback instead of the file and what to do."""
    run = fake_run(**FEW)
    settings = run.write()
    (run.run / name).unlink()
    with pytest.raises(UserError, match=f"{name}: missing; run snakemake"):
        gather(settings)


def test_a_table_without_the_search_terms_is_refused(fake_run: Make) -> None:
    """Weights of another search would be drawn under this one's names."""
    run = fake_run(**FEW)
    settings = run.write()
    path = run.run / "search/gen_001/generation.csv"
    path.write_text(path.read_text().replace("rgb.shuffle", "rgb.jigsaw"))
    with pytest.raises(UserError, match=r"generation.csv: lacks the columns rgb.shuffle"):
        gather(settings)


def test_what_the_plan_says_of_a_source_stands_beside_its_clips(fake_run: Make) -> None:
    """A part of a benchmark would be read as the benchmark."""
    run = fake_run(**FEW)
    settings = run.write()
    plan = run.data / "motions" / "plan" / "shards.json"
    plan.parent.mkdir(parents=True)
    plan.write_text(json.dumps({"shards": [], "note": "hmdb51: 12 of the official 6766 clips are there"}))
    facts = gather(settings)
    assert [found.note != "" for found in facts.collections] == [False, True]
    assert dict(facts_list(facts))["Clips: motions"].endswith(". hmdb51: 12 of the official 6766 clips are there.")


def test_the_evaluation_is_told_with_sets_splits_clips_and_seeds(fake_run: Make) -> None:
    """Two results would be compared that come of other clips, splits or seeds."""
    found = dict(facts_list(gather(fake_run(**FEW).write())))["Evaluation"]
    assert (
        "with learning rate 0.001; every entry, with seed 0, on every split of motions (1 split, 1 clip a video)"
        in found
    )
    more = {
        "seeds": [0, 1],
        "transfer": {
            "collections": ["motions"],
            "embed": {"windows": 5},
            "finetune": {"learning_rates": [0.01, 0.001]},
        },
        "collections": {
            "pool": {"source": {"kind": "world"}, "modalities": ["rgb", "flow", "grey", "audio"]},
            "motions": {"source": {"kind": "world", "part": "labelled"}, "plan": {"duration_s": None}},
        },
    }
    found = dict(facts_list(gather(fake_run(**FEW, **more).write())))["Evaluation"]
    assert "learning rate that of 0.01 and 0.001 which is best on validation clips; every entry" in found
    assert "with each of the seeds 0 and 1, on every split" in found
    assert found.endswith(
        "of motions (1 split, whole videos). What is said of a clip is the mean over 5 windows of it."
    )
