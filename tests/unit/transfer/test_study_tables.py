"""Tables of a study that has not begun, or is half done."""

import json
from pathlib import Path

import pandas as pd
import pytest

from pipeline_src.settings.run import load_settings
from tests.benchmarks.science import __main__ as science
from tests.benchmarks.science import runs as study
from tests.benchmarks.science.runs import Run

CONFIG = {
    "data_root": "data",
    "results_root": "results",
    "collections": {
        "pool": {"source": {"kind": "world"}, "modalities": ["rgb", "flow"]},
        "set": {"source": {"kind": "world", "part": "labelled"}},
    },
    "loss": {"terms": ["rgb.shuffle", "rgb.backward"]},
    "fitness": {"clips": 240, "weak": {"collection": "set"}},
    "lineup": [
        {"name": "evolved", "kind": "evolved"},
        {"name": "shuffle", "kind": "single", "term": "rgb.shuffle"},
        {"name": "backward", "kind": "single", "term": "rgb.backward"},
    ],
    "transfer": {"collections": ["set"]},
}


@pytest.fixture
def two_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """One run for each of two splits, without any file."""
    monkeypatch.setattr(study, "ROOT", tmp_path)
    monkeypatch.setattr(science, "ROOT", tmp_path)
    return [Run(load_settings({**CONFIG, "run": name}), tmp_path / f"{name}.yaml") for name in ("one", "two")]


def write(run: Run, entry: str, right: int, validation: float) -> None:
    """The one-layer result of an entry of which so many of the 8 test clips are right."""
    clips = pd.read_csv(run.index.with_name("clips.csv"))
    truth = clips.loc[clips["split_1"] == "test", "label"].tolist()
    found = {"collection": "set", "split": 1, "entry": entry, "seed": 0, "method": "linear", "chance": 0.5}
    found |= {"majority": 0.5, "top1": right / len(truth), "validation_top1": {"1": validation}}
    found["predictions"] = [label if place < right else "neither" for place, label in enumerate(truth)]
    path = run.folder / "transfer" / "set" / "split_1" / entry / "seed_0" / "linear.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(found))


def test_before_a_study_has_begun_its_tables_are_empty(two_runs: list[Run]) -> None:
    """It ended in a traceback."""
    summary, paired = science.tables(two_runs)
    assert summary.empty
    assert paired.empty
    assert science.correlations(two_runs).empty
    assert science.searches(two_runs).empty
    lines = study.missing(two_runs)
    assert [line.split(" results")[0] for line in lines] == ["one: 13 of 13", "two: 13 of 13"]


@pytest.mark.usefixtures("collection_folder")
def test_half_a_study_compares_what_is_there_and_names_the_rest(
    two_runs: list[Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The term that was not yet trained on the hard split would be the best one, and evolved lose to it."""
    one, two = two_runs
    for run, entry, right, validation in (
        (one, "evolved", 2, 0.4), (one, "shuffle", 2, 0.4), (two, "evolved", 7, 0.9),
        (two, "shuffle", 7, 0.8), (two, "backward", 7, 0.95),
    ):  # fmt: skip
        write(run, entry, right, validation)
    summary, paired = science.tables(two_runs)
    chosen = summary.set_index("entry")
    assert chosen.loc[["best single", "shuffle"], "validation"].tolist() == pytest.approx([0.6, 0.6])
    assert pd.isna(chosen.loc["backward", "validation"])
    gaps = paired.set_index("other")
    assert gaps["difference"].tolist() == [0, 0, 0]
    assert gaps["splits"].to_dict() == {"shuffle": 2, "backward": 1, "best single": 2}
    assert gaps[["drawn_low", "drawn_high"]].to_numpy().ravel().tolist() == [0] * 6, "the same clips are right"
    lacking = study.missing(two_runs)
    assert lacking[0] == "one: 11 of 13 results are missing, first transfer/set/split_1/evolved/seed_0/kmeans.json"
    study.show({tmp_path / "table.csv": summary}, lacking)
    assert not (tmp_path / "table.csv").exists(), "half a study would take the place of a whole one"
    assert lacking[1] in capsys.readouterr().out
    study.show({tmp_path / "table.csv": summary}, [])
    assert len(pd.read_csv(tmp_path / "table.csv")) == len(summary)


@pytest.mark.usefixtures("collection_folder")
def test_the_bootstrap_draws_videos_for_both_rows_at_once(two_runs: list[Run]) -> None:
    """Evolved is right on two clips more, all else is equal: no draw of videos makes it worse."""
    for run in two_runs:
        for entry, right in (("evolved", 6), ("shuffle", 4), ("backward", 0)):
            write(run, entry, right, 0.5)
    _, paired = science.tables(two_runs)
    gaps = paired.set_index("other")
    assert gaps.loc["shuffle", "difference"] == pytest.approx(0.25)
    low, high = gaps.loc["shuffle", ["drawn_low", "drawn_high"]]
    assert 0 <= low < 0.25 < high <= 1
    assert gaps.loc["backward", "drawn_low"] > low


@pytest.mark.usefixtures("collection_folder")
def test_both_searches_are_shown_by_generation_once_they_are_over(two_runs: list[Run]) -> None:
    one, two = two_runs
    for run, search, generation, fitness in (
        (one, "search", 0, "0.1"), (one, "search", 1, "0.3"), (one, "random", 0, "0.2"), (two, "search", 0, "0.9"),
    ):  # fmt: skip
        folder = run.folder / search / f"gen_{generation:03d}"
        folder.mkdir(parents=True)
        (folder / "generation.csv").write_text(f"individual,fitness\n0,{fitness}\n1,0\n2,\n")
    science.last_state(one).parent.mkdir(parents=True)
    science.last_state(one).write_text("{}")
    found = science.searches(two_runs)
    assert found["run"].unique().tolist() == ["one"]
    assert list(zip(found["search"], found["generation"], strict=True)) == [("search", 0), ("search", 1), ("random", 0)]
    assert found["mean"].tolist() == pytest.approx([0.05, 0.15, 0.1])
    assert found["best"].tolist() == [0.1, 0.3, 0.2]
    assert found["individuals"].tolist() == [3, 3, 3]


@pytest.mark.usefixtures("collection_folder")
def test_controls_and_winners_are_shown_of_the_runs_that_have_them(two_runs: list[Run]) -> None:
    assert science.controls(two_runs).empty
    assert science.winners(two_runs).empty
    one, _ = two_runs
    for search, generation, weight in (("search", 3, 0.25), ("random", 1, 1.0)):
        path = science.last_state(one, search)
        path.parent.mkdir(parents=True)
        best = {"generation": generation, "fitness": 0.5, "weights": {"rgb.shuffle": weight, "rgb.backward": 0.0}}
        path.write_text(json.dumps({"best": best}))
    science.controls_file(one).write_text(json.dumps({"controls": {"raw_pixels": {"fitness": 0.1, "status": "ok"}}}))
    assert science.controls(two_runs).to_dict("records") == [{"run": "one", "control": "raw_pixels", "fitness": 0.1}]
    found = science.winners(two_runs)
    assert found["search"].tolist() == ["search", "random"]
    assert found["rgb.shuffle"].tolist() == [0.25, 1.0]
    assert science.controls_file(one) in science.files_of(one)
