"""A search of the paper's length as one DAG: what planning and running it cost, against a bare Snakefile.

    python -m tests.benchmarks.long_search                                     250 generations of 16 by cmaes
    python -m tests.benchmarks.long_search --generations 2000 --population 8 --strategy tournament
    python -m tests.benchmarks.long_search --plan                              only dry-runs of what is not there yet

Through the pipeline's own rules and stages, but that a formula stands in for training and judging an individual. The
bare Snakefile (bare.smk) has the same jobs, inputs and commands, and nothing else. Times are CPU seconds of Snakemake
and its jobs.
"""

import argparse
import copy
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from pipeline_src.settings.run import load_settings
from tests.benchmarks.science.runs import QUIET
from tests.tiny_run import ROOT, TINY, copy_project, render_videos

FOLDER = ROOT / "data" / "long_search"
TARGET = "results/tiny/search/individuals.csv"
STAND_IN = '''
"""A stand-in: fitness is minus the squared distance of the weights from 0.5."""

import argparse, csv, json
from pathlib import Path

parser = argparse.ArgumentParser()
for name in ("settings", "machine", "pool", "weak", "scales", "generation", "rung", "seed", "job"):
    parser.add_argument(f"--{name}")
given = parser.parse_args()
job, share = int(given.job), json.loads(given.settings)["trials"]["share"]
with open(Path(given.generation, "population.csv"), newline="") as file:
    rows = list(csv.DictReader(file))[job * share : (job + 1) * share]
folder = Path(given.generation, f"rung_{given.rung}", f"seed_{given.seed}", f"job_{job:03d}")
folder.mkdir(parents=True, exist_ok=True)
(folder / "metrics.jsonl").write_text("")
results = []
for row in rows:
    number = int(row.pop("individual"))
    fitness = -sum((float(value) - 0.5) ** 2 for value in row.values())
    result = {"status": "ok", "reason": "", "zipf": None, "weak": None, "effective_rank": 1.0, "stability": 1.0}
    results.append({"individual": number, "fitness": fitness, **result})
(folder / "fitness.json").write_text(json.dumps({"individuals": results}))
'''
BARE = Path(__file__).with_name("bare.smk")


def prepare(given: argparse.Namespace) -> tuple[Path, Path]:
    """The project and its bare copy, ready for the search: clips indexed, scales calibrated."""
    folder = FOLDER / f"{given.strategy}_{given.generations}x{given.population}"
    ours, bare = folder / "ours", folder / "bare"
    if not (ours / "results/tiny/search/scales.json").exists():
        shutil.rmtree(folder, ignore_errors=True)
        project = copy_project(ours)
        config: dict[str, Any] = copy.deepcopy(TINY)
        config["search"] = {name: getattr(given, name) for name in ("strategy", "generations", "population")}
        config["search"]["trials"] = {"share": given.share}
        project.configure(config)
        render_videos(ours / "videos", 24)
        project.snakemake("results/tiny/search/scales.json", "data/labelled/index.json")
        # From now on: an edit after the first run would be one more reason to run it again.
        (ours / "pipeline_src/stages/try_weights.py").write_text(STAND_IN)
        ignored = shutil.ignore_patterns(".snakemake", "profiles", "workflow", "videos", "tiny.yaml")
        shutil.copytree(ours, bare, ignore=ignored)
        shutil.copy(BARE, bare / "Snakefile")
        (bare / "tiny.yaml").write_text(yaml.safe_dump(bare_settings(config)))
    return ours, bare


def bare_settings(config: dict[str, Any]) -> dict[str, Any]:
    """What the bare Snakefile is told: its size, and the settings of its stages as JSON."""
    run = load_settings(config)
    search = {name: config["search"][name] for name in ("strategy", "population")}
    trials = config["search"]["trials"]
    terms = {"terms": list(run.loss.terms), "seed": run.seed}
    return {
        "generations": config["search"]["generations"],
        "jobs": -(-config["search"]["population"] // trials["share"]),
        "propose": json.dumps({"search": search, **terms}),
        "trial": json.dumps({"trials": trials}),
        "rank": json.dumps({"search": search, "trials": trials, "weak_measure": "nmi", **terms}),
    }


def measured(folder: Path, *arguments: str) -> tuple[float, float]:
    """CPU seconds of Snakemake and its jobs, and its largest resident memory in MB."""
    command = [sys.executable, "-m", "snakemake", "--cores", "2", "--configfile", "tiny.yaml"]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PYTHONPATH": str(folder), "PATH": path}
    with (folder / "snakemake.log").open("ab") as log:
        process = subprocess.Popen(
            [*command, *arguments, *QUIET, "--", TARGET],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=log,
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{folder}: snakemake {' '.join(arguments)} failed; see {folder / 'snakemake.log'}")
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def compare(what: str, ours: Path, bare: Path, *arguments: str) -> None:
    """Print a line: both, and their ratio."""
    mine, floor = measured(ours, *arguments), measured(bare, *arguments)
    times = f"{mine[0]:8.1f} s {floor[0]:8.1f} s   {mine[0] / floor[0]:5.2f}"
    print(f"{what:24} {times}   {mine[1]:6.0f} MB {floor[1]:6.0f} MB", flush=True)


def main() -> None:
    """Print the figures."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--generations", type=int, default=250)
    options.add_argument("--population", type=int, default=16)
    options.add_argument("--share", type=int, default=1)
    options.add_argument("--strategy", default="cmaes")
    options.add_argument("--plan", action="store_true", help="run nothing")
    given = options.parse_args()
    ours, bare = prepare(given)
    jobs = given.generations * (2 + -(-given.population // given.share)) + 1
    print(f"{given.generations} generations of {given.population} by {given.strategy}, {jobs} jobs")
    print(f"{'':24} {'ours':>10} {'bare':>10}   ratio   {'ours':>9} {'bare':>9}")
    if not (bare / TARGET).exists():
        compare("plan, fresh", ours, bare, "--dry-run")
        if not given.plan:
            compare("run", ours, bare)
    if (bare / TARGET).exists():
        compare("plan, finished", ours, bare, "--dry-run")


if __name__ == "__main__":
    main()
