"""The table of all individuals, and what show_search says of it."""

import json
import os
import shutil
import sys
import time

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from pipeline_src.errors import UserError
from pipeline_src.evolution.history import importance, read_history, trend
from pipeline_src.evolution.tables import MEASURED, RANKING, content_of, read_start
from pipeline_src.files import read_json, write_json
from pipeline_src.stages import collect_individuals, show_search

TERMS = ["rgb.backward", "rgb.shuffle", "rgb>flow.translate"]


def write_search(run, generations=3, population=20, failed=()):
    """Fitness is the weight of rgb.shuffle with a little noise; rgb>flow.translate never varies."""
    random = np.random.default_rng(0)
    for generation in range(generations):
        table = pd.DataFrame(random.random((population, 2)), columns=TERMS[:2])
        table[TERMS[2]] = 0.5
        fitness = table["rgb.shuffle"] + 0.1 * random.normal(size=population)
        lost = [(generation, number) in failed for number in range(population)]
        table.insert(0, "individual", range(population))
        table.insert(1, "rung", 0)
        table.insert(2, "fitness", fitness.mask(lost))
        table.insert(3, "spread", np.nan)
        table.insert(4, "status", np.where(lost, "diverged", "ok"))
        table.insert(5, "reason", np.where(lost, "NaN, at step 3", ""))
        for place, name in enumerate(MEASURED, start=6):
            table.insert(place, name, 0.5)
        table = table.sort_values("fitness", ascending=False)
        table.insert(1, "rank", range(1, population + 1))
        folder = run / f"search/gen_{generation:03d}"
        folder.mkdir(parents=True)
        table.to_csv(folder / "generation.csv", index=False)
        before = content_of(run / f"search/gen_{generation - 1:03d}/state.json") if generation else None
        write_json(folder / "state.json", {"best": None, "before": before})
    for rung, job, tried, seconds in ((0, 2, (4, 5), 12.5), (1, 0, (4,), 3.0)):
        folder = run / f"search/gen_001/rung_{rung}/seed_0/job_{job:03d}"
        folder.mkdir(parents=True)
        (folder / "fitness.json").write_text(json.dumps({"individuals": [{"individual": number} for number in tried]}))
        timed = run / "benchmarks/try_weights" / f"search_001_{rung}_0_{job:03d}.tsv"
        timed.parent.mkdir(parents=True, exist_ok=True)
        timed.write_text(f"s\th:m:s\n{seconds}\t0:00:12\n")
    return run


def reach_rung(run, generation, individual):
    path = run / f"search/gen_{generation:03d}/generation.csv"
    table = pd.read_csv(path)
    table.loc[table["individual"] == individual, "rung"] = 1
    table.to_csv(path, index=False)


def leave_job(run, *, rung, job, tried, seconds, age):
    folder = run / f"search/gen_001/rung_{rung}/seed_0/job_{job:03d}"
    folder.mkdir(parents=True)
    results = folder / "fitness.json"
    results.write_text(json.dumps({"individuals": [{"individual": number} for number in tried]}))
    os.utime(results, (time.time() - age, time.time() - age))
    (run / f"benchmarks/try_weights/search_001_{rung}_0_{job:03d}.tsv").write_text(f"s\n{seconds}\n")


def call(stage, monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["stage", *map(str, arguments)])
    stage.main()


def test_all_individuals_stand_in_one_table_in_order_with_their_times(tmp_path, monkeypatch):
    run = write_search(tmp_path / "run", failed=((1, 4),))
    reach_rung(run, 1, 4)
    # What an earlier search left, of another length and with other jobs: neither counts.
    (run / "search/gen_009").mkdir()
    (run / "search/gen_009/generation.csv").write_text("individual,other\n0,1\n")
    leave_job(run, rung=0, job=7, tried=(4, 5), seconds=999.0, age=1000)
    leave_job(run, rung=2, job=0, tried=(4,), seconds=999.0, age=1000)
    tables = tmp_path / "all.csv", tmp_path / "all.parquet"
    call(
        collect_individuals, monkeypatch,
        "--settings", "{}", "--run", run, "--generations", 9, "--csv", tables[0], "--parquet", tables[1],
    )  # fmt: skip
    found = pd.read_csv(tables[0])
    pd.testing.assert_frame_equal(
        found, pd.read_parquet(tables[1]).replace({"reason": {"": np.nan}}), check_dtype=False
    )
    assert found.columns.tolist() == ["generation", *RANKING, *MEASURED, "seconds", *TERMS]
    assert found[["generation", "individual"]].to_numpy().tolist() == [[g, i] for g in range(3) for i in range(20)]
    lost = found.iloc[24]
    assert (lost["status"], lost["reason"], lost["seconds"]) == ("diverged", "NaN, at step 3", 6.25 + 3.0)
    assert np.isnan(lost["fitness"])
    assert found.loc[25, "seconds"] == 6.25
    assert found["seconds"].count() == 2
    # It is what another search can begin with.
    assert read_start(tables[0], TERMS)[0]["rgb.shuffle"] == found.loc[found["fitness"].idxmax(), "rgb.shuffle"]


def test_trend_counts_failures_and_keeps_the_best(tmp_path):
    everyone = tuple((0, number) for number in range(20))
    history = read_history(write_search(tmp_path, failed=(*everyone, (2, 3), (2, 5))))
    found = trend(history)
    assert found["failed"].tolist() == [20, 0, 2]
    assert np.isnan(found.loc[0, ["mean", "best", "best_so_far"]].astype(float)).all()
    second, third = (history.loc[history["generation"] == number, "fitness"] for number in (1, 2))
    assert found.loc[1, "mean"] == pytest.approx(second.mean())
    assert found["best_so_far"].tolist()[1:] == [second.max(), max(second.max(), third.max())]


def test_importance_is_spearman_s_correlation_with_an_interval_that_holds_it(tmp_path):
    history = read_history(write_search(tmp_path, failed=((0, 0), (2, 7))))
    found = importance(history).set_index("term")
    scored = history.dropna(subset="fitness")
    for term in TERMS[:2]:
        wanted = spearmanr(scored["fitness"], scored[term]).statistic
        assert found.loc[term, "correlation"] == pytest.approx(wanted, abs=1e-12)
        assert found.loc[term, "low"] < wanted < found.loc[term, "high"]
    assert found.index[0] == "rgb.shuffle"
    assert found.loc["rgb.shuffle", "low"] > 0.8
    assert found.loc["rgb.backward", "low"] < 0 < found.loc["rgb.backward", "high"]
    assert found.loc["rgb>flow.translate"].isna().all()
    # As wide as Fisher's interval of an independent pair: 1.96 / sqrt(n - 3).
    width = found.loc["rgb.backward", "high"] - found.loc["rgb.backward", "low"]
    assert width == pytest.approx(2 * 1.96 / np.sqrt(len(scored) - 3), rel=0.25)


@pytest.mark.parametrize("individuals", [950, 4000, 16000])
def test_what_never_varies_matters_nowhere_however_long_the_search(individuals):
    """Rounding grows with the number of individuals: a fixed weight was called clear, or nan."""
    random = np.random.default_rng(1)
    history = pd.DataFrame(
        {
            "generation": 0,
            "rung": 0,
            "fitness": random.random(individuals),
            "rgb.shuffle": random.random(individuals),
            "rgb.backward": 0.5,
        }
    )
    found = importance(history, draws=20).set_index("term")
    assert found.loc["rgb.backward"].isna().all()
    wanted = spearmanr(history["fitness"], history["rgb.shuffle"]).statistic
    assert found.loc["rgb.shuffle", "correlation"] == pytest.approx(wanted, abs=1e-9)
    assert importance(history.assign(fitness=0.3), draws=20)["correlation"].isna().all()


def test_generations_that_an_earlier_search_left_are_told_and_not_read(tmp_path, monkeypatch, capsys):
    """Else the best of a search with another fitness is called this one's."""
    run = write_search(tmp_path / "run", generations=4)
    # Generation 1 was ranked again and came out otherwise.
    state = run / "search/gen_001/state.json"
    write_json(state, {**read_json(state), "best": {"fitness": 0.5}})
    call(show_search, monkeypatch, run)
    told = capsys.readouterr().out
    assert "40 individuals in 2 generations" in told
    assert "gen_002 and later ones are left out" in told


def test_a_copy_with_other_times_is_the_same_search(tmp_path, monkeypatch, capsys):
    """Its later generations were called those of an earlier search; without benchmark files its hours were 0.00."""
    run = write_search(tmp_path / "run", generations=4)
    for age, path in enumerate(sorted(run.glob("search/gen_*/*"))):
        os.utime(path, (1000 - age, 1000 - age))
    shutil.rmtree(run / "benchmarks")
    # What people keep beside it is no generation.
    shutil.copytree(run / "search/gen_000", run / "search/gen_000.bak")
    call(show_search, monkeypatch, run)
    told = capsys.readouterr().out
    assert "80 individuals in 4 generations, 0 failed, times were not measured" in told
    assert "left out" not in told


def test_a_broken_table_is_told(tmp_path):
    run = write_search(tmp_path)
    (run / "search/gen_001/generation.csv").write_text("")
    with pytest.raises(UserError, match=r"gen_001/generation.csv: not a valid table .*; delete it and run snakemake"):
        read_history(run)


def test_show_search_says_the_best_the_trend_and_what_matters(tmp_path, monkeypatch, capsys):
    run = write_search(tmp_path / "run", generations=30, failed=((1, 4),))
    call(show_search, monkeypatch, run, "--table", tmp_path / "out.parquet")
    told = capsys.readouterr().out
    best = read_history(run).dropna(subset="fitness").sort_values("fitness").iloc[-1]
    assert "600 individuals in 30 generations, 1 failed" in told
    assert f"in generation {best['generation']}, individual {best['individual']}" in told
    assert any(line.endswith("rgb.shuffle  clearly") for line in told.splitlines())
    assert "nan" not in told
    assert len(pd.read_parquet(tmp_path / "out.parquet")) == 600
    with pytest.raises(UserError, match=r"--table: .*out.xlsx - allowed: a name that ends with"):
        call(show_search, monkeypatch, run, "--table", tmp_path / "out.xlsx")


def test_show_search_before_and_without_success(tmp_path, monkeypatch, capsys):
    """All diverged, or nothing ranked yet: said, not a traceback."""
    run = write_search(tmp_path / "run", generations=1, population=2, failed=((0, 0), (0, 1)))
    call(show_search, monkeypatch, run)
    told = capsys.readouterr().out
    assert "None has a fitness yet." in told
    assert "2 times: NaN, at step 3" in told
    assert "too few individuals" in told
    with pytest.raises(UserError, match="no generation of a search is ranked there yet"):
        call(show_search, monkeypatch, tmp_path / "nowhere")


def test_generations_with_other_terms_are_told(tmp_path):
    run = write_search(tmp_path, generations=2)
    path = run / "search/gen_001/generation.csv"
    path.write_text(path.read_text().replace("rgb.shuffle", "rgb.pace", 1))
    with pytest.raises(UserError, match=r"gen_001.*other terms than .*gen_000"):
        read_history(run)


def test_a_weight_that_few_individuals_have_gets_an_interval_and_no_claim(tmp_path, monkeypatch, capsys):
    """Else one redraw without those few makes its interval nan, and nan is called clear."""
    run = write_search(tmp_path, generations=1, population=8)
    path = run / "search/gen_000/generation.csv"
    table = pd.read_csv(path)
    table["rgb.shuffle"] = (table["individual"] == 3).astype(float)
    table.to_csv(path, index=False)
    found = importance(read_history(run)).set_index("term").loc["rgb.shuffle"]
    assert np.isfinite(found[["correlation", "low", "high"]].astype(float)).all()
    call(show_search, monkeypatch, run)
    assert "nan" not in capsys.readouterr().out


def test_who_got_further_leads_whatever_the_fitness(tmp_path, monkeypatch, capsys):
    """Else a lucky short training is called the best, or begins the next search."""
    run = write_search(tmp_path / "run", generations=2)
    for path in run.glob("search/gen_*/generation.csv"):
        table = pd.read_csv(path)
        table.loc[table.index[-3:], "rung"] = 1
        table.to_csv(path, index=False)
    history = read_history(run)
    finalists = history[history["rung"] == 1]
    best = finalists.loc[finalists["fitness"].idxmax()]
    assert best["fitness"] < history["fitness"].max()
    assert trend(history)["best"].tolist() == finalists.groupby("generation")["fitness"].max().tolist()
    call(show_search, monkeypatch, run, "--table", tmp_path / "all.csv")
    assert f"in generation {best['generation']}, individual {best['individual']}" in capsys.readouterr().out
    assert read_start(tmp_path / "all.csv", TERMS)[0]["rgb.shuffle"] == pytest.approx(best["rgb.shuffle"])
