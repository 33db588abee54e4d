"""What it saves that individuals share a job: CPU time of one job for four against four jobs, as the demo has them."""

import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from pipeline_src.evolution.search import propose
from pipeline_src.evolution.space import Space
from pipeline_src.evolution.tables import population_table
from pipeline_src.files import write_json
from pipeline_src.settings.run import load_settings
from pipeline_src.shards.index import Collection

ROOT = Path(__file__).resolve().parents[2]
INDIVIDUALS = 4


def compare_sharing(pool: Collection) -> None:
    """Print both times and their ratio.

    Args:
        pool: clips that fit the demo's windows.
    """
    run = load_settings(yaml.safe_load((ROOT / "config" / "config.yaml").read_text()))
    fitness = run.fitness.model_copy(update={"weak": None, "clips": len(pool.clips)})
    sections = {"loss": run.loss, "network": run.network, "window": run.window, "training": run.proxy}
    settings = {name: section.for_result() for name, section in {**sections, "fitness": fitness}.items()}
    settings |= {"fit": run.decode.fit, "torch_threads": 1, "seed": 0, "code": "benchmark"}
    taken = {}
    for share in (1, INDIVIDUALS):
        with tempfile.TemporaryDirectory() as name:
            generation = Path(name)
            population = propose("tournament", run.search.settings, Space(run.loss.terms), INDIVIDUALS, 0, 0, None)
            population_table(population).to_csv(generation / "population.csv", index=False)
            write_json(generation / "scales.json", {"terms": {}})
            before = _children_seconds()
            for job in range(INDIVIDUALS // share):
                _try_weights({**settings, "trials": {"share": share}}, pool, generation, job)
            taken[share] = _children_seconds() - before
    alone, together = taken[1], taken[INDIVIDUALS]
    times = f"{together:.1f} s of CPU, in {INDIVIDUALS} jobs {alone:.1f} s: ratio {together / alone:.2f}"
    print(f"{INDIVIDUALS} individuals of the demo in one job: {times}", flush=True)


def _try_weights(settings: object, pool: Collection, generation: Path, job: int) -> None:
    command = [sys.executable, "-m", "pipeline_src.stages.try_weights", "--settings", json.dumps(settings)]
    command += ["--machine", '{"training": {"device": "cpu"}}', "--pool", str(pool.folder / "index.json")]
    command += ["--scales", str(generation / "scales.json"), "--generation", str(generation)]
    command += ["--rung", "0", "--seed", "0", "--job", str(job)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)


def _children_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
