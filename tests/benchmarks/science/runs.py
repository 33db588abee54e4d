"""The runs of a study: their settings, their steps, and going on with them."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from pipeline_src.files import read_json
from pipeline_src.report.run_size import controls_of, trials_of
from pipeline_src.settings.run import RunSettings, load_settings
from pipeline_src.shards.index import Collection
from pipeline_src.transfer.answers import Answers, Truths, answers_of
from pipeline_src.transfer.results import METHODS

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Run:
    """One run of the study: its settings and where they stand."""

    settings: RunSettings
    config: Path

    @property
    def folder(self) -> Path:
        return ROOT / self.settings.results_root / self.settings.run

    @property
    def labelled(self) -> Collection:
        (name,) = self.settings.transfer.collections
        return Collection.open(ROOT / self.settings.data_root / name / "index.json")


def runs_of(study: str) -> list[Run]:
    """The runs of a study."""
    path = Path(__file__).with_name(f"{study}.yaml")
    return runs_of_splits(path) if study == "real" else [prepare(yaml.safe_load(path.read_text()))]


def runs_of_splits(path: Path) -> list[Run]:
    """The run of a configuration for split 1 of ../shared/data/real, and the same for the other two splits.

    Each split has a pool of its own, without its test clips.
    """
    found = []
    for split in (1, 2, 3):
        own = path.read_text()
        for name in ("real-", "pool_split", "split"):
            own = own.replace(f"{name}1", f"{name}{split}")
        found.append(prepare(yaml.safe_load(own)))
    return found


def prepare(config: dict[str, Any]) -> Run:
    """Write the settings of a run."""
    settings = load_settings(config)
    path = ROOT / "data" / "science" / f"{settings.run}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return Run(settings, path)


def finish(runs: Sequence[Run], minutes: float, cores: int) -> None:
    """Go on with one run after the other.

    Raises:
        SystemExit: the time is up, or Snakemake failed.
    """
    stop = time.monotonic() + 60 * minutes
    for run in runs:
        left = (stop - time.monotonic()) / 60
        if left <= 0 or not go_on(run, left, cores):
            raise SystemExit("time is up; start it again to go on")


def results_of(run: Run) -> Iterator[tuple[str, dict[str, Any]]]:
    """File and content of every result of a run by the main methods, those of baselines too."""
    folder = run.folder / "transfer" / run.labelled.folder.name
    paths = [path for method in METHODS for path in sorted(folder.glob(f"split_*/*/seed_*/{method}.json"))]
    for path in [*paths, *sorted(folder.glob("split_*/baselines.json"))]:
        content = read_json(path)
        for found in content.get("results", [content]):
            yield str(path), found


def answers_of_runs(runs: Sequence[Run]) -> list[Answers]:
    """All results of a study against the truth; of several runs, each is one split."""
    answers = []
    for number, run in enumerate(runs, 1):
        truths = Truths([run.labelled])
        for path, result in results_of(run):
            found = answers_of(path, result, truths)
            answers.append(replace(found, split=number) if len(runs) > 1 else found)
    return answers


def steps_of(run: RunSettings) -> int:
    """Optimiser steps of all trainings of a run, but for fine-tuning."""
    trained = sum(run.final_of(entry).iterations for entry in run.lineup if entry.trained) * len(run.seeds)
    trials = sum(trials.steps(run.proxy.iterations) for trials in (*trials_of(run), controls_of(run)))
    return trials + trained


def go_on(run: Run, minutes: float, cores: int) -> bool:
    """Run as much of the DAG as fits; whether it is complete. Jobs that have begun are finished.

    Raises:
        SystemExit: Snakemake failed.
    """
    command = [sys.executable, "-m", "snakemake", "--cores", str(cores), "--configfile", str(run.config)]
    process = subprocess.Popen([*command, "--quiet", "all", "--rerun-incomplete"], cwd=ROOT)
    try:
        if process.wait(60 * minutes):
            raise SystemExit(f"snakemake failed on {run.config}")
        return True
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)
        process.wait()
        return False
