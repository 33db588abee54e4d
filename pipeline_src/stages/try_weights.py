"""Try individuals of the search: train their networks on the same batches, and judge what they have learned.

A job of a later rung goes on with trainings of the best of the rung before; who these are follows from its results.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from pipeline_src.errors import UserError
from pipeline_src.evolution.tables import read_population
from pipeline_src.evolution.trials import Trials, folder, read_trials
from pipeline_src.files import read_json, whole_file, write_json
from pipeline_src.fitness.judge import judge
from pipeline_src.fitness.score import check_classes, check_counts, diverged
from pipeline_src.fitness.subsets import pool_rows, weak_rows
from pipeline_src.networks.encoder_file import save_encoder
from pipeline_src.settings.search import FitnessSettings, TrialSettings
from pipeline_src.shards.index import Collection
from pipeline_src.shards.scratch import on_scratch
from pipeline_src.stages.command import add_machine, parser, run, settings_from
from pipeline_src.training.checkpoint import Checkpoint
from pipeline_src.training.device import prepare_device
from pipeline_src.training.loop import Course, state_of
from pipeline_src.training.pretrain import PretrainSettings, encoder_config, mark_of, train_population

STATES = "states.pt"
# The last word of the seed, as in evolution.generation.PROPOSALS.
SEEDS = 5


class StageSettings(PretrainSettings):
    """This stage's settings. All individuals share the seed, so that they differ by their weights only."""

    fitness: FitnessSettings
    trials: TrialSettings
    keep_encoders: bool = False
    seed: int = Field(ge=0)
    code: str


def main() -> None:
    """Parse and load, then try."""
    arguments = parser(__doc__)
    add_machine(arguments)
    arguments.add_argument("--pool", type=Path, required=True, help="index.json of the pool")
    arguments.add_argument("--weak", type=Path, help="index.json of the labelled collection of the weak fitness")
    arguments.add_argument("--scales", type=Path, required=True, help="scales.json")
    arguments.add_argument("--generation", type=Path, required=True, help="generation's folder, with population.csv")
    for name, text in (("rung", "of the halving"), ("seed", "of the trainings"), ("job", "of the rung and seed")):
        arguments.add_argument(f"--{name}", type=int, required=True, help=f"number {text}, from 0")
    given = arguments.parse_args()
    settings = settings_from(given.settings, StageSettings, given.machine)
    with on_scratch(Collection.open(given.pool), settings.training.scratch) as pool:
        try_weights(given, settings, pool)


def try_weights(given: argparse.Namespace, settings: StageSettings, pool: Collection) -> None:
    """Train, judge, write. A diverged individual is a result, not a failure."""
    population = read_population(given.generation / "population.csv")
    trials = Trials(len(population), **settings.trials.model_dump())
    here = given.generation / folder(given.rung, given.seed, given.job)
    tried = occupants(given.generation, trials, given.rung, given.job)
    # Before hours of training.
    check_counts(len(pool_rows(pool, settings.fitness.clips, settings.seed)), settings.fitness)
    weak = Collection.open(given.weak) if given.weak else None
    if weak is not None and settings.fitness.weak is not None:
        check_classes(weak.clips["label"].to_numpy()[weak_rows(weak, settings.fitness.weak.split)])
    scales = {term: entry["scale"] for term, entry in read_json(given.scales)["terms"].items()}
    seed = trial_seed(settings.seed, given.seed)
    until = trials.iterations(given.rung, settings.training.iterations)
    weights = [population[individual] for individual in tried]
    device = prepare_device(settings.training.device, settings.torch_threads)
    checkpoint = Checkpoint(here / "resume.pt", mark_of(settings, pool, weights, scales, seed, until))
    start = earlier_states(given.generation, trials, given.rung, given.seed, tried)
    curves = [here / "tensorboard" / f"ind_{i:03d}" for i in tried] if settings.training.tensorboard else None
    courses = train_population(
        settings,
        pool,
        weights,
        scales,
        seed,
        device,
        checkpoint=checkpoint,
        until=until,
        start=start,
        curves_folders=curves,
    )
    if given.rung < trials.rungs - 1:
        Checkpoint(here / STATES, STATES).save({**state_of(courses, until), "individuals": tried})
    if settings.keep_encoders and given.rung == trials.rungs - 1:
        keep(here / "encoders", tried, courses, settings, pool)
    results = []
    for individual, course in zip(tried, courses, strict=True):
        results.append({"individual": individual, **judged(course, settings, pool, weak)})
    with whole_file(here / "metrics.jsonl") as part:
        part.write_text("".join(metrics_of(tried, courses, until)))
    write_json(here / "fitness.json", {"individuals": results})
    checkpoint.remove()


def trial_seed(seed: int, number: int) -> int:
    """The seed of a generation's trainings of one number: the run's own for the first."""
    return seed if number == 0 else int(np.random.default_rng([seed, number, SEEDS]).integers(2**31))


def occupants(generation: Path, trials: Trials, rung: int, job: int) -> list[int]:
    """The individuals in a job's slots: their own in the first rung, else the best of the rung before."""
    slots = trials.slots_of(rung, job)
    if rung == 0:
        return list(slots)
    before = read_trials(generation, trials, rung - 1)
    return [before[slot].individual for slot in slots]


def earlier_states(generation: Path, trials: Trials, rung: int, seed: int, tried: list[int]) -> dict[str, Any] | None:
    """The state that individuals ended the rung before with; None in the first rung.

    Raises:
        UserError: a state is missing or cannot be read.
    """
    if rung == 0:
        return None
    found: dict[int, Any] = {}
    step = 0
    for name in trials.folders(rung - 1, seed):
        path = generation / name / STATES
        state = Checkpoint(path, STATES).load()
        if state is None:
            raise UserError(f"{path}: cannot be read; delete {path.parent} and run snakemake again")
        found.update({i: one for i, one in zip(state["individuals"], state["courses"], strict=True) if i in tried})
        step = state["step"]
    return {"step": step, "courses": [found[individual] for individual in tried]}


def judged(course: Course, settings: StageSettings, pool: Collection, weak: Collection | None) -> dict[str, Any]:
    """An individual's content of fitness.json."""
    if course.failure:
        return diverged(course.failure, settings.fitness)
    loss = course.loss
    config = encoder_config(settings, pool, loss.embedding_size("rgb"), {})
    device = prepare_device(settings.fitness.embed.device, settings.torch_threads)
    return judge(loss.encoders["rgb"], config, pool, weak, settings.fitness, settings.seed, device)  # type: ignore[arg-type]


def keep(folder: Path, tried: list[int], courses: list[Course], settings: StageSettings, pool: Collection) -> None:
    """Save the encoder of every individual that did not diverge."""
    folder.mkdir(parents=True, exist_ok=True)
    for individual, course in zip(tried, courses, strict=True):
        if not course.failure:
            config = encoder_config(settings, pool, course.loss.embedding_size("rgb"), {})
            path = folder / f"ind_{individual:03d}.safetensors"
            save_encoder(path, course.loss.encoders["rgb"], config)  # type: ignore[arg-type]


def metrics_of(tried: list[int], courses: list[Course], until: int) -> list[str]:
    """Lines of metrics.jsonl: those of each individual, and how it ended."""
    lines = []
    for individual, course in zip(tried, courses, strict=True):
        status = "diverged" if course.failure else "ok"
        iterations = until if course.loss.weights else 0
        end = {"event": "end", "status": status, "reason": course.failure, "iterations": iterations}
        for line in [*course.metrics, end]:
            lines.append(json.dumps({"individual": individual, **line}, sort_keys=True) + "\n")
    return lines


if __name__ == "__main__":
    run(main)
