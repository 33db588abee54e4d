"""The runs of a study: their settings, their steps, and going on with them."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from pipeline_src.files import read_json
from pipeline_src.report.run_size import controls_of, trials_of
from pipeline_src.settings.run import RunSettings, load_settings
from pipeline_src.shards.index import Collection
from pipeline_src.transfer.answers import Answers, Truths, answers_of
from pipeline_src.transfer.results import METHODS, results_in

ROOT = Path(__file__).resolve().parents[3]
# Not `all`, which hides even why Snakemake would not run.
QUIET = ("--quiet", "rules", "reason", "progress", "host")


@dataclass(frozen=True)
class Run:
    """One run of the study: its settings and where they stand."""

    settings: RunSettings
    config: Path

    @property
    def folder(self) -> Path:
        return ROOT / self.settings.results_root / self.settings.run

    @property
    def index(self) -> Path:
        """Of its labelled collection."""
        (name,) = self.settings.transfer.collections
        return ROOT / self.settings.data_root / name / "index.json"

    @property
    def labelled(self) -> Collection:
        return Collection.open(self.index)

    @property
    def result_files(self) -> list[Path]:
        """Of every network by the main methods, and of the baselines, whether they are there or not."""
        (name,) = self.settings.transfer.collections
        count = self.settings.collections[name].split_count
        splits = [self.folder / "transfer" / name / f"split_{split}" for split in range(1, count + 1)]
        models = [f"{entry.name}/seed_{seed}" for entry in self.settings.lineup for seed in self.settings.seeds]
        found = [split / model / f"{method}.json" for split in splits for model in models for method in METHODS]
        return found + [split / "baselines.json" for split in splits]


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


def finish(
    runs: Sequence[Run], minutes: float, cores: int, wanted: Callable[[Run], Sequence[Path]] = lambda run: ()
) -> None:
    """Go on with one run after the other.

    Args:
        runs: of the study.
        minutes, cores: that may be used.
        wanted: the files of each run that the study reads; nothing for a whole run, with its report.

    Raises:
        SystemExit: the time is up, or Snakemake failed.
    """
    stop = time.monotonic() + 60 * minutes
    for run in runs:
        left = (stop - time.monotonic()) / 60
        if left <= 0 or not go_on(run, left, cores, wanted(run)):
            raise SystemExit("time is up; start it again to go on")


def results_of(run: Run) -> Iterator[tuple[str, dict[str, Any]]]:
    """File and content of every result of a run that is there; nothing while its labelled clips are not."""
    for path in run.result_files if run.index.exists() else ():
        if path.exists():
            for found in results_in(read_json(path)):
                yield str(path), found


def missing(runs: Sequence[Run]) -> list[str]:
    """A line for every run that lacks results."""
    lines = []
    for run in runs:
        files = run.result_files
        lacking = [path for path in files if not path.exists()] if run.index.exists() else files
        if lacking:
            first = lacking[0].relative_to(run.folder)
            lines.append(f"{run.settings.run}: {len(lacking)} of {len(files)} results are missing, first {first}")
    return lines


def show(tables: Mapping[Path, pd.DataFrame], lacking: Sequence[str]) -> None:
    """Print tables, then what they lack; write them where they lack nothing."""
    for path, table in tables.items():
        text = table.to_string(index=False, float_format=lambda value: f"{value:.3f}") if len(table) else "nothing"
        print(path.stem, text, "", sep="\n")
        if not lacking:
            table.to_csv(path, index=False, lineterminator="\n", float_format="%.4f")
    if lacking:
        print("not written, for they are not complete:", *lacking, sep="\n", flush=True)


def answers_of_runs(runs: Sequence[Run]) -> list[Answers]:
    """All results of a study against the truth; of several runs, each is one split."""
    answers = []
    for number, run in enumerate(runs, 1):
        truths = Truths([run.labelled] if run.index.exists() else [])
        for path, result in results_of(run):
            found = answers_of(path, result, truths)
            answers.append(replace(found, split=number) if len(runs) > 1 else found)
    return answers


def steps_of(run: RunSettings) -> int:
    """Optimiser steps of all trainings of a run, but for fine-tuning."""
    trained = sum(run.final_of(entry).iterations for entry in run.lineup if entry.trained) * len(run.seeds)
    trials = sum(trials.steps(run.proxy.iterations) for trials in (*trials_of(run), controls_of(run)))
    return trials + trained


def go_on(run: Run, minutes: float, cores: int, wanted: Sequence[Path]) -> bool:
    """Run as much of the DAG as fits; whether it is complete. Jobs that have begun are finished.

    Raises:
        SystemExit: Snakemake failed.
    """
    command = [sys.executable, "-m", "snakemake", "--cores", str(cores), "--configfile", str(run.config)]
    files = [str(path.relative_to(ROOT)) for path in wanted]
    process = subprocess.Popen([*command, "--rerun-incomplete", *QUIET, "--", *files], cwd=ROOT)
    try:
        if process.wait(60 * minutes):
            raise SystemExit(f"snakemake failed on {run.config}")
        return True
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)
        process.wait()
        return False
