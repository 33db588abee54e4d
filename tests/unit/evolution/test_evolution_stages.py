"""propose_weights, rank_generation and choose_weights as the workflow calls them."""

import json
import sys

import pandas as pd
import pytest

from pipeline_src.errors import UserError
from pipeline_src.evolution import trials
from pipeline_src.evolution.tables import MEASURED, RANKING, read_population
from pipeline_src.files import write_json
from pipeline_src.stages import choose_weights, command, propose_weights, rank_generation

TERMS = ["rgb.shuffle", "rgb>flow.translate", "distill.flow.layer1"]
SETTINGS = {"search": {"strategy": "tournament", "population": 4, "settings": {}}, "terms": TERMS, "seed": 5}
RANKED = {"trials": {}, "weak_measure": None}


def call(stage, monkeypatch, settings, *arguments):
    monkeypatch.setattr(sys, "argv", ["stage", "--settings", json.dumps(settings), *map(str, arguments)])
    stage.main()


def write_fitness(folder, values):
    """Results as try_weights writes them, one job per individual."""
    for number, value in enumerate(values):
        status = "diverged" if value is None else "ok"
        found = {"fitness": value, "status": status, "reason": "NaN, at step 3" if value is None else ""}
        measured = {"zipf": None, "weak": None, "effective_rank": None, "stability": None}
        path = folder / trials.folder(0, 0, number) / "fitness.json"
        write_json(path, {"individuals": [{"individual": number, **found, **measured}]})


def generation(folder, monkeypatch, number, values, settings=SETTINGS):
    here, before = folder / f"gen_{number:03d}", folder / f"gen_{number - 1:03d}" / "state.json"
    state = ["--state", before] if number else []
    call(
        propose_weights, monkeypatch, settings,
        "--generation", number, *state, "--population", here / "population.csv",
    )  # fmt: skip
    write_fitness(here, values)
    call(
        rank_generation, monkeypatch, {**settings, **RANKED},
        "--generation", number, *state, "--population", here / "population.csv", "--folder", here,
        "--table", here / "generation.csv", "--state-out", here / "state.json",
    )  # fmt: skip
    return here


def weights_of(folder, individual):
    return json.dumps(read_population(folder / "population.csv")[individual], sort_keys=True)


def test_two_generations_and_the_lineup(tmp_path, monkeypatch):
    """The files agree with each other from proposal to the evolved entry."""
    first = generation(tmp_path, monkeypatch, 0, [-0.5, None, -0.2, -0.9])
    table = pd.read_csv(first / "generation.csv")
    assert table.columns.tolist() == [*RANKING, *MEASURED, *sorted(TERMS)]
    assert table["individual"].tolist() == [2, 0, 3, 1]
    assert table["rank"].tolist() == [1, 2, 3, 4]
    assert table["status"].tolist() == ["ok", "ok", "ok", "diverged"]
    assert table.at[3, "reason"] == "NaN, at step 3"
    assert pd.isna(table.at[3, "fitness"])
    population = pd.read_csv(first / "population.csv")
    assert population.columns.tolist() == ["individual", *sorted(TERMS)]
    assert table.loc[0, sorted(TERMS)].to_dict() == population.loc[2, sorted(TERMS)].to_dict()

    second = generation(tmp_path, monkeypatch, 1, [-0.3, -0.4, -0.1, -0.6])
    state = json.loads((second / "state.json").read_text())
    assert (state["best"]["generation"], state["best"]["individual"], state["best"]["fitness"]) == (
        1,
        2,
        -0.1,
    )
    for kind in ("evolved", "best_of_random"):
        call(
            choose_weights, monkeypatch,
            {"entry": {"name": kind, "kind": kind}, "terms": TERMS, "seed": 5},
            "--state", second / "state.json", "--out", tmp_path / "weights.json",
        )  # fmt: skip
        chosen = json.loads((tmp_path / "weights.json").read_text())
        assert json.dumps(chosen, sort_keys=True) == weights_of(second, 2)


def test_same_settings_give_the_same_bytes(tmp_path, monkeypatch):
    """Else Snakemake's reruns and caches cannot be trusted."""
    folders = [generation(tmp_path / name, monkeypatch, 0, [1.0, 2.0, 3.0, None]) for name in "ab"]
    for name in ("population.csv", "generation.csv", "state.json"):
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()


def test_number_of_generations_is_no_setting(tmp_path, monkeypatch):
    """Else raising it would rerun the whole search."""
    settings = {**SETTINGS, "search": {**SETTINGS["search"], "generations": 9}}
    with pytest.raises(UserError, match=r"search\.generations: unknown setting"):
        generation(tmp_path, monkeypatch, 0, [1.0] * 4, settings)


def test_user_errors_are_one_line_with_exit_code_2(tmp_path, monkeypatch, capsys):
    """A changed list of terms must name itself, not end in a traceback."""
    generation(tmp_path, monkeypatch, 0, [1.0] * 4)
    monkeypatch.setattr(
        sys, "argv",
        ["stage", "--settings", json.dumps({**SETTINGS, "terms": TERMS[:2]}), "--generation", "1",
         "--state", str(tmp_path / "gen_000/state.json"), "--population", str(tmp_path / "p.csv")],
    )  # fmt: skip
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        command.run(propose_weights.main)
    assert ended.value.code == 2
    message = capsys.readouterr().err
    assert message.startswith("error: searched terms: removed distill.flow.layer1 since the search so far")
    assert message.count("\n") == 1
    assert not (tmp_path / "p.csv").exists()
