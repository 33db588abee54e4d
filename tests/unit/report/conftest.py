"""A finished run made of small files, as the pipeline's stages leave them, with numbers that the tests choose."""

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline_src.evolution.tables import MEASURED, RANKING
from pipeline_src.report.tables import PROBED, PROBED_SPEEDS
from pipeline_src.settings.run import RunSettings, load_settings
from pipeline_src.transfer.answers import Answers
from pipeline_src.transfer.results import kinds_of
from pipeline_src.transfer.summaries import paired_table, rows_of_lineup, summary_table

LABELS = ("bounce", "orbit", "zoom")
METHODS = ("kmeans", "linear", "finetune", "retrieval", "knn")
HOSTILE = "<script>alert('clip')</script>&\"x"

Top1 = Callable[[str, int, str], float | None]


def settings_of(**changes: Any) -> RunSettings:
    """A configuration of the demo's kind."""
    values: dict[str, Any] = {
        "run": "small",
        "collections": {
            "pool": {"source": {"kind": "world"}, "modalities": ["rgb", "flow", "grey", "audio"]},
            "motions": {"source": {"kind": "world", "part": "labelled"}},
        },
        "decode": {"height": 56, "width": 56},
        "window": {"frames": 8, "crop": 48},
        "network": {"video": "small_r3d"},
        "loss": {"terms": ["*"]},
        "search": {"population": 4, "generations": 3},
        "fitness": {"clips": 240, "weak": {"collection": "motions"}},
        "lineup": [
            {"name": "evolved", "kind": "evolved"},
            {"name": "uniform", "kind": "uniform"},
            {"name": "random", "kind": "random"},
            {"name": "rgb-to-flow", "kind": "single", "term": "rgb>flow.translate"},
            {"name": "shuffle", "kind": "single", "term": "rgb.shuffle"},
            {"name": "scratch", "kind": "scratch"},
        ],
        "transfer": {"collections": ["motions"]},
    }
    return load_settings({**values, **changes})


def fitness_json(kl: float | None, weak: float | None = None, status: str = "ok", reason: str = "") -> dict[str, Any]:
    """The content of a fitness.json."""
    return {
        "fitness": -kl if kl is not None and status == "ok" else None,
        "status": status,
        "reason": reason,
        "measure": "zipf",
        "clips": 240,
        "zipf": None if kl is None else {"kl": kl, "noise": 0.029, "clusters": 8, "proportions": [1.0]},
        "weak": None if weak is None else {"nmi": weak, "ari": weak / 2, "accuracy": weak, "classes": 8, "clips": 100},
        "effective_rank": 12.5,
        "stability": 0.7,
    }


class FakeRun:
    """Writes a run below a folder.

    Attributes that tests change before `write`: settings; top1 (entry, seed, method) -> fraction or None;
    kl (generation, individual) -> divergence or None for a collapsed one; control_kl by control (None = refused);
    unseen by split: test clips of classes that training lacks, and these classes.
    """

    def __init__(self, folder: Path, **changes: Any) -> None:
        roots = {"data_root": str(folder / "data"), "results_root": str(folder / "results")}
        self.settings = settings_of(**roots, **changes)
        self.top1: Top1 = lambda entry, seed, method: 0.3 + 0.05 * METHODS.index(method)
        self.kl: Callable[[int, int], float | None] = lambda g, i: 0.5 - 0.1 * g + 0.02 * i
        self.control_kl: dict[str, float | None] = {
            "untrained": 0.8,
            "raw_pixels": 0.6,
            "constant": None,
            "gaussian": None,
        }
        self.baseline = {"frame count": 0.12, "raw pixels": 0.25}
        self.test_clips = 80
        self.unseen: dict[int, tuple[int, list[str]]] = {}
        self.failed: dict[str, list[tuple[str, str, str]]] = {}
        self.data = folder / "data"
        self.run = folder / "results" / self.settings.run

    def write(self) -> RunSettings:
        """Write everything; returns the settings."""
        random = np.random.default_rng(0)
        self._search(random)
        self._models(random)
        self._transfer()
        labelled = {*self.settings.transfer.collections}
        if self.settings.fitness.weak:
            labelled.add(self.settings.fitness.weak.collection)
        nothing = {"train": 0, "validation": 0, "test": 0}
        overlap = {
            name: {
                "split_1": {
                    "shared_clips": nothing,
                    "shared_source_videos": nothing,
                    "source_videos_in_train_and_test": 0,
                }
            }
            for name in sorted(labelled)
        }
        _json(self.run / "overlap.json", overlap)
        for name in ("pool", *sorted(labelled)):
            self._collection(name)
        self._benchmarks()
        return self.settings

    def _search(self, random: np.random.Generator) -> None:
        terms, search = self.settings.loss.terms, self.settings.search
        _json(self.run / "search" / "scales.json", {"batches": 8, "terms": {t: {"scale": 1.0} for t in terms}})
        controls = {
            name: fitness_json(kl, 0.1) if kl is not None else fitness_json(None, None, "collapsed", "effective rank 0")
            for name, kl in self.control_kl.items()
        }
        _json(self.run / "search" / "controls.json", {"controls": controls})
        best: dict[str, Any] | None = None
        for g in range(search.generations):
            folder = self.run / "search" / f"gen_{g:03d}"
            rows = []
            for i in range(search.population):
                kl = self.kl(g, i)
                found = (
                    fitness_json(kl, 0.5 - 0.4 * kl + 0.05 * random.random())
                    if kl is not None
                    else fitness_json(None, None, "collapsed", f"effective rank 1.1 {HOSTILE}")
                )
                weights = {term: round(float(random.random()), 6) for term in terms}
                rows.append((found, i, weights))
            rows.sort(key=lambda row: (row[0]["fitness"] is None, -(row[0]["fitness"] or 0.0)))
            table: list[list[Any]] = [[*RANKING, *MEASURED, *terms]]
            for place, (found, i, weights) in enumerate(rows, 1):
                value = "" if found["fitness"] is None else found["fitness"]
                zipf, weak = found["zipf"] or {}, found["weak"] or {}
                measured = [-zipf["kl"] if zipf else "", zipf.get("noise", ""), weak.get("nmi", "")]
                measured += [found["effective_rank"], found["stability"]]
                row = [i, place, 0, value, "", found["status"], found["reason"]]
                table.append([*row, *measured, *weights.values()])
                if found["fitness"] is not None and (best is None or found["fitness"] > best["fitness"]):
                    best = {"generation": g, "individual": i, "fitness": found["fitness"], "weights": weights}
            _csv(folder / "generation.csv", table)
            _json(folder / "state.json", {"best": best})
        self.best = best

    def _models(self, random: np.random.Generator) -> None:
        for place, entry in enumerate(self.settings.lineup):
            terms = [] if entry.kind == "scratch" else [entry.term] if entry.term else list(self.settings.loss.terms)
            folder = self.run / "models" / entry.name
            _json(folder / "weights.json", {term: 0.5 for term in terms})
            for seed in self.settings.seeds:
                lines: list[dict[str, Any]] = []
                for step in range(1, 201, 4) if terms else ():
                    values = {}
                    for t in terms:
                        raw = 0.69 * (0.5 + 0.5 * np.exp(-step / 80)) + 0.02 * random.standard_normal()
                        values[t] = {"raw": float(raw), "scaled": float(raw), "weight": 0.5}
                    lines.append({"iteration": step, "total": 1.0, "learning_rate": 0.001, "terms": values})
                lines.append({"event": "end", "status": "ok", "reason": "", "iterations": 200 if terms else 0})
                own = folder / f"seed_{seed}"
                own.mkdir(parents=True, exist_ok=True)
                (own / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
                _json(own / "fitness.json", fitness_json(0.2 + 0.1 * place, 0.4 - 0.05 * place))
                record = {"git_revision": "0123abc", "python": "3.11.7", "packages": {"torch": "2.7.0"}}
                _json(own / "config.json", {"provenance": record})

    def _transfer(self) -> None:
        table: list[list[Any]] = [["collection", "split", "entry", "kind", "seed", "method", "top1"]]
        folder = self.run / "transfer"
        for name in self.settings.transfer.collections:
            for split in range(1, self.settings.collections[name].split_count + 1):
                base = {"collection": name, "split": split, "train_clips": 150, "test_clips": self.test_clips}
                base |= {"classes": 8, "chance": 0.125, "majority": 0.15, "status": "ok", "reason": ""}
                clips, classes = self.unseen.get(split, (0, []))
                base |= {"unseen_clips": clips, "unseen_classes": classes}
                for entry in self.settings.lineup:
                    for method in METHODS:
                        for seed in self.settings.seeds:
                            top1 = self.top1(entry.name, seed, method)
                            content = {
                                **base,
                                "entry": entry.name,
                                "seed": seed,
                                "method": method,
                                "top1": top1,
                                "predictions": [LABELS[n % 3] for n in range(20)]
                                if top1 is not None and method not in ("retrieval", "knn")
                                else [],
                            }
                            where = folder / name / f"split_{split}" / entry.name / f"seed_{seed}"
                            if method != "knn":  # In the file of retrieval.
                                _json(where / f"{method}.json", content)
                            value = "" if top1 is None else top1
                            table.append([name, split, entry.name, entry.kind, seed, method, value])
                results = []
                for baseline, top1 in self.baseline.items():
                    for method in METHODS[:2]:
                        results.append({**base, "entry": baseline, "seed": 0, "method": method, "top1": top1})
                        table.append([name, split, baseline, "baseline", 0, method, top1])
                _json(folder / name / f"split_{split}" / "baselines.json", {"results": results})
        _csv(folder / "results.csv", table)
        rows = rows_of_lineup([self._answers(row) for row in table[1:]], kinds_of(self.settings.lineup))
        summary_table(rows).to_csv(folder / "summary.csv", index=False)
        paired_table(rows).to_csv(folder / "paired.csv", index=False)
        self._protocols(folder)

    def _answers(self, row: Sequence[Any]) -> Answers:
        """Which of the test clips, two of each source video, are right: its share of them, evenly over the videos."""
        name, split, entry, _, seed, method, top1 = row
        places = np.arange(self.test_clips)
        right = None if top1 == "" else (37 * places + 0.5) % self.test_clips < top1 * self.test_clips
        videos = np.array([f"video{place // 2}" for place in places])
        return Answers(name, split, entry, seed, method, right, videos, 0.15)

    def _protocols(self, folder: Path) -> None:
        base = ["collection", "split", "entry", "seed"]
        retrieval: list[list[Any]] = [[*base, "k", "recall", "knn_top1"]]
        labels: list[list[Any]] = [[*base, "method", "labels", "labelled_clips", "top1"]]
        probes: list[list[Any]] = [[*base, "probe", "measure", "value"]]
        names = [entry.name for entry in self.settings.lineup]
        for name in self.settings.transfer.collections:
            for split in range(1, self.settings.collections[name].split_count + 1):
                for entry in names:
                    for seed in self.settings.seeds:
                        own = [name, split, entry, seed]
                        retrieval += [[*own, k, min(1, 0.3 + 0.01 * k), 0.35] for k in (1, 5, 10, 20, 50)]
                        labels += [[*own, "linear", "5shot", 40, 0.2], [*own, "linear", "50pct", 75, 0.25]]
                        probes += [[*own, probe, "top1", 0.4] for probe in PROBED]
                        probes += [[*own, probe, "chance", 0.25] for probe in PROBED]
                        probes += [[*own, "speed", "rank_correlation", 0.6]]
                        probes += [[*own, "speed", f"score at {speed}", n - 1] for n, speed in enumerate(PROBED_SPEEDS)]
        few = pd.read_csv(folder / "summary.csv").query("method == 'linear' and kind != 'baseline'")
        parts = [
            few.assign(labels=part, mean=mean, low=mean - 0.05, high=mean + 0.1)
            for part, mean in (("5shot", 0.2), ("50pct", 0.25))
        ]
        pd.concat(parts).to_csv(folder / "fewer_labels_summary.csv", index=False)
        for path, rows in (("retrieval", retrieval), ("fewer_labels", labels), ("probes", probes)):
            _csv(folder / f"{path}.csv", rows)

    def _collection(self, name: str) -> None:
        failed = self.failed.get(name, [])
        folder, planned = self.data / name, 300
        modalities: dict[str, Any] = {key: {} for key in self.settings.collections[name].modalities}
        usable = planned - len(failed)
        _json(
            folder / "index.json",
            {
                "collection": name,
                "planned": planned,
                "usable": usable,
                "with_sound": usable - 7 if "audio" in modalities else 0,
                "shards": [{"shard": "000000", "clips": planned}],
                "modalities": modalities,
            },
        )
        rows: list[Sequence[str]] = [["clip_id", "status", "reason"], *failed]
        rows += [[f"clip{number:05d}", "ok", ""] for number in range(usable)]
        _csv(folder / "status" / "decode" / "000000.csv", rows)
        if name != "pool":
            splits = [f"split_{n + 1}" for n in range(self.settings.collections[name].split_count)]
            clips = [
                [f"clip{n:05d}", LABELS[n % 3], *["test" if n % 2 else "train" for _ in splits]] for n in range(40)
            ]
            _csv(folder / "clips.csv", [["clip_id", "label", *splits], *clips])

    def _benchmarks(self) -> None:
        header = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"
        rows = {
            self.data / "pool/benchmarks/decode_clips/000000.tsv": "12.5\t0:00:12\t310.2\t1\t1\t1\t0\t0\t90\t24.1\n",
            self.data / "pool/benchmarks/decode_clips/000001.tsv": "7.5\t0:00:07\t290.0\t1\t1\t1\t0\t0\t90\t14.9\n",
            self.data / "pool/benchmarks/plan_clips.tsv": "0.4\t0:00:00\tNA\tNA\tNA\tNA\tNA\tNA\tNA\tNA\n",
            self.run / "benchmarks/pretrain_model/evolved_0.tsv": "4000\t1:06:40\t2048.0\t1\t1\t1\t0\t0\t9\t4100\n",
        }
        for path, row in rows.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(header + row)


@pytest.fixture
def fake_run(tmp_path: Path) -> Callable[..., FakeRun]:
    """Makes a FakeRun below the test's own folder; arguments change the settings."""
    return lambda **changes: FakeRun(tmp_path, **changes)


@pytest.fixture
def hostile() -> str:
    """Text that a page must show as text."""
    return HOSTILE


def _json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def _csv(path: Path, rows: Sequence[Sequence[Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
