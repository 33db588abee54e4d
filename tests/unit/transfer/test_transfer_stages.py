"""evaluate_kmeans, evaluate_linear, evaluate_baselines and collect_results as the workflow calls them."""

import json
import sys

import numpy as np
import pandas as pd
import pytest

from pipeline_src.stages import (
    collect_results,
    evaluate_baselines,
    evaluate_fewer_labels,
    evaluate_kmeans,
    evaluate_linear,
    evaluate_retrieval,
)

LINEUP = {"lineup": [{"name": "ours", "kind": "evolved"}]}
METHODS = {"kmeans": evaluate_kmeans, "linear": evaluate_linear, "retrieval": evaluate_retrieval}
LABELS = ["1shot", "50pct"]


def call(stage, monkeypatch, settings, *arguments):
    monkeypatch.setattr(sys, "argv", ["stage", "--settings", json.dumps(settings), *map(str, arguments)])
    stage.main()


@pytest.fixture
def embeddings(collection_folder):
    """Embeddings that separate the classes, stored in another order than the clips."""
    clips = pd.read_csv(collection_folder / "clips.csv").sample(frac=1, random_state=0)
    centres = {"dark": [1.0, 0, 0, 0], "light": [0, 1.0, 0, 0]}
    vectors = np.array([centres[label] for label in clips["label"]], np.float32)
    vectors += 0.05 * np.random.default_rng(0).standard_normal(vectors.shape).astype(np.float32)
    return {"clip_ids": clips["clip_id"].to_numpy(str), "embeddings": vectors}


def evaluate(method, monkeypatch, folder, path, out):
    call(
        METHODS[method], monkeypatch, {method: {}},
        "--clips-index", folder / "index.json", "--embeddings", path,
        "--split", 1, "--entry", "ours", "--seed", 3, "--out", out,
    )  # fmt: skip
    return json.loads(out.read_text())


def fewer_labels(monkeypatch, folder, out):
    call(
        evaluate_fewer_labels, monkeypatch, {"linear": {}, "labels": LABELS},
        "--clips-index", folder / "index.json", "--embeddings", out / "e.npz",
        "--split", 1, "--entry", "ours", "--seed", 3, "--out", out / "fewer_labels.json",
    )  # fmt: skip


def gather(folder, monkeypatch):
    """Lay the results out as a run does and collect them; fine-tuning's stands in as a copy of linear's."""
    split = folder / "transfer" / "set" / "split_1"
    entry = split / "ours" / "seed_3"
    entry.mkdir(parents=True)
    for method in METHODS:
        (entry / f"{method}.json").write_bytes((folder / f"{method}.json").read_bytes())
    tuned = {**json.loads((folder / "linear.json").read_text()), "method": "finetune"}
    (entry / "finetune.json").write_text(json.dumps(tuned))
    (entry / "fewer_labels.json").write_bytes((folder / "fewer_labels.json").read_bytes())
    (split / "baselines.json").write_bytes((folder / "baselines.json").read_bytes())
    call(
        collect_results, monkeypatch,
        {**LINEUP, "seeds": [3], "splits": [["set", 1]], "fewer_labels": {"linear": LABELS}, "probes": {"names": []}},
        "--folder", folder / "transfer", "--index", folder / "data" / "set" / "index.json",
        "--results", folder / "results.csv", "--summary", folder / "summary.csv", "--paired", folder / "paired.csv",
        "--retrieval", folder / "retrieval.csv", "--fewer-labels", folder / "fewer_labels.csv",
        "--fewer-labels-summary", folder / "fewer_labels_summary.csv", "--probes", folder / "probes.csv",
    )  # fmt: skip


def test_from_embeddings_to_the_table(collection_folder, embeddings, tmp_path, monkeypatch):
    """Every file that a run makes ends as a row, and the same inputs give the same bytes."""
    np.savez(tmp_path / "e.npz", **embeddings)
    for method in METHODS:
        outs = [tmp_path / f"{method}{suffix}.json" for suffix in ("", "_again")]
        made = [evaluate(method, monkeypatch, collection_folder, tmp_path / "e.npz", out) for out in outs]
        assert made[0]["top1"] == 1
        assert made[0]["method"] == method
        assert (made[0]["entry"], made[0]["seed"], made[0]["split"], made[0]["collection"]) == (
            "ours",
            3,
            1,
            "set",
        )
        assert outs[0].read_bytes() == outs[1].read_bytes()
    call(
        evaluate_baselines, monkeypatch, {"kmeans": {}, "linear": {}, "retrieval": {}, "seed": 0},
        "--clips-index", collection_folder / "index.json", "--split", 1, "--out", tmp_path / "baselines.json",
    )  # fmt: skip
    fewer_labels(monkeypatch, collection_folder, tmp_path)
    gather(tmp_path, monkeypatch)
    table = pd.read_csv(tmp_path / "results.csv")
    assert table.columns.tolist() == ["collection", "split", "entry", "kind", "seed", "method", "top1"]
    assert table["kind"].tolist() == ["evolved"] * 5 + ["baseline"] * 6
    assert table["method"].tolist()[:5] == ["kmeans", "linear", "finetune", "retrieval", "knn"]
    recall = pd.read_csv(tmp_path / "retrieval.csv")
    assert recall["k"].tolist() == [1, 5, 10] * 2
    assert (recall["recall"][:3] == 1).all()
    few = pd.read_csv(tmp_path / "fewer_labels.csv")
    assert few[["labels", "labelled_clips"]].to_numpy().tolist() == [["1shot", 2], ["50pct", 8]]
    assert few["top1"].min() > 0.5
    means = pd.read_csv(tmp_path / "fewer_labels_summary.csv")
    assert means[["labels", "entry", "method"]].to_numpy().tolist() == [[b, "ours", "linear"] for b in LABELS]
    assert means["mean"].tolist() == few["top1"].tolist()
    assert (means["low"] < means["mean"]).all()
    assert (means["clips"] == 8).all()
    summary = pd.read_csv(tmp_path / "summary.csv")
    assert (
        summary[["entry", "method", "mean"]].to_numpy().tolist()
        == table[["entry", "method", "top1"]].to_numpy().tolist()
    )
    assert (summary["low"] <= summary["mean"]).all()
    paired = pd.read_csv(tmp_path / "paired.csv")
    assert (paired["clips"] == 8).all()
    counted = paired[(paired["entry"] == "ours") & (paired["other"] == "frame count") & (paired["method"] == "linear")]
    # All clips have one length: the baseline names one class, which is right for half of them.
    assert counted["difference"].item() == 0.5
    assert 0 < counted["low"].item() <= 0.5 <= counted["high"].item() <= 1


def test_diverged_model_gives_a_marked_empty_row(collection_folder, embeddings, tmp_path, monkeypatch):
    """Else one diverged row of the lineup stops the evaluation of all others."""
    embeddings["embeddings"][4] = np.nan
    np.savez(tmp_path / "e.npz", **embeddings)
    for method in METHODS:
        found = evaluate(method, monkeypatch, collection_folder, tmp_path / "e.npz", tmp_path / f"{method}.json")
        assert (found["top1"], found["status"]) == (None, "diverged")
        assert found["reason"] == "1 of 24 embeddings are not finite"
    fewer_labels(monkeypatch, collection_folder, tmp_path)
    baselines = {"results": []}
    (tmp_path / "baselines.json").write_text(json.dumps(baselines))
    gather(tmp_path, monkeypatch)
    assert pd.read_csv(tmp_path / "results.csv")["top1"].isna().all()
    summary = pd.read_csv(tmp_path / "summary.csv")
    assert (summary["failed"] == 1).all()
    assert summary["mean"].isna().all()
    assert pd.read_csv(tmp_path / "paired.csv").empty
