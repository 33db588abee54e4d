"""What it saves that individuals share a job: CPU time of one job for four against four jobs.

    python -m tests.benchmarks.sharing

The first generation of the demo, with the demo's clips, scales, weights, training and both measures of fitness. What
that needs is made by its own rules, once, in data/sharing.
"""

import json
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from pipeline_src.settings.run import load_settings

ROOT = Path(__file__).resolve().parents[2]
DATA, RESULTS = "data/sharing", "data/sharing/results"
SEARCH = ROOT / RESULTS / "demo" / "search"
POPULATION = SEARCH / "gen_000" / "population.csv"
INDICES = {"pool": ROOT / DATA / "pool/index.json", "weak": ROOT / DATA / "motions/index.json"}
INDIVIDUALS = 4


def compare_sharing() -> None:
    """Print both times and their ratio."""
    made = [str(path.relative_to(ROOT)) for path in (*INDICES.values(), SEARCH / "scales.json", POPULATION)]
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--cores",
        "2",
        "--quiet",
        "all",
        "--configfile",
        "config/config.yaml",
    ]
    command += ["--config", f"data_root={DATA}", f"results_root={RESULTS}", "--", *made]
    subprocess.run(command, cwd=ROOT, check=True)
    run = load_settings(yaml.safe_load((ROOT / "config" / "config.yaml").read_text()))
    sections = {"loss": run.loss, "network": run.network, "window": run.window, "training": run.proxy}
    settings = {name: section.for_result() for name, section in {**sections, "fitness": run.fitness}.items()}
    settings |= {"fit": run.decode.fit, "torch_threads": 1, "seed": run.seed, "code": "benchmark"}
    taken = {}
    for share in (1, INDIVIDUALS):
        with tempfile.TemporaryDirectory() as name:
            generation = Path(name)
            shutil.copy(POPULATION, generation)
            before = _children_seconds()
            for job in range(INDIVIDUALS // share):
                _try_weights({**settings, "trials": {"share": share}}, generation, job)
            taken[share] = _children_seconds() - before
    alone, together = taken[1], taken[INDIVIDUALS]
    times = f"{together:.1f} s of CPU, in {INDIVIDUALS} jobs {alone:.1f} s: ratio {together / alone:.2f} (at most 0.7)"
    print(f"{INDIVIDUALS} individuals of the demo in one job: {times}", flush=True)


def _try_weights(settings: object, generation: Path, job: int) -> None:
    command = [sys.executable, "-m", "pipeline_src.stages.try_weights", "--settings", json.dumps(settings)]
    command += ["--machine", '{"training": {"device": "cpu"}}', "--scales", str(SEARCH / "scales.json")]
    command += [part for name, path in INDICES.items() for part in (f"--{name}", str(path))]
    command += ["--generation", str(generation), "--rung", "0", "--seed", "0", "--job", str(job)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)


def _children_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    compare_sharing()
