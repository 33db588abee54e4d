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

from tests.benchmarks.science.runs import ROOT, finish, prepare

DATA = "data/sharing"
SEARCH = ROOT / DATA / "results/sharing/search"
POPULATION = SEARCH / "gen_000" / "population.csv"
INDICES = {"pool": ROOT / DATA / "pool/index.json", "weak": ROOT / DATA / "motions/index.json"}
INDIVIDUALS = 4


def compare_sharing() -> None:
    """Print both times and their ratio."""
    demo = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    made = prepare({**demo, "run": "sharing", "data_root": DATA, "results_root": f"{DATA}/results"})
    finish([made], 60, 2, lambda _: [*INDICES.values(), SEARCH / "scales.json", POPULATION])
    run = made.settings
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
