"""How the individuals of a generation are tried: rungs of successive halving, whose slots are filled by rank.

Rung r has population / eta ** r slots. In the first, slot i is individual i; in the others, slot i is the i-th best of
the rung before, whose training it goes on with. So who fills a slot is decided while the search runs, but how many
jobs there are, and their files, is known beforehand.

After Jamieson and Talwalkar 2016, Non-stochastic Best Arm Identification and Hyperparameter Optimization.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from pipeline_src.files import read_json


@dataclass(frozen=True)
class Trials:
    """The jobs of one generation.

    Attributes:
        population: individuals.
        rungs, eta: of the halving; one rung is none.
        share: individuals of a job.
        seeds: trainings of each individual.
    """

    population: int
    rungs: int = 1
    eta: int = 3
    share: int = 1
    seeds: int = 1

    def slots(self, rung: int) -> int:
        """Individuals that a rung has places for."""
        return max(1, self.population // self.eta**rung)

    def jobs(self, rung: int) -> int:
        """Jobs of a rung, for each seed."""
        return -(-self.slots(rung) // self.share)

    def slots_of(self, rung: int, job: int) -> range:
        """The slots that a job fills."""
        return range(job * self.share, min((job + 1) * self.share, self.slots(rung)))

    def iterations(self, rung: int, whole: int) -> int:
        """Steps after which a rung's trainings stop; those of the last rung have all of `whole`."""
        return max(1, round(whole / self.eta ** (self.rungs - 1 - rung)))

    def steps(self, whole: int) -> int:
        """Optimiser steps of all trainings of the generation; the later rungs' go on from the earlier ones'."""
        ends = [0, *(self.iterations(rung, whole) for rung in range(self.rungs))]
        return self.seeds * sum(self.slots(rung) * (ends[rung + 1] - ends[rung]) for rung in range(self.rungs))

    def folders(self, rung: int, seed: int) -> list[str]:
        """Folders of a rung's jobs with one seed, relative to the generation's."""
        return [folder(rung, seed, job) for job in range(self.jobs(rung))]


def folder(rung: int, seed: int, job: int) -> str:
    """Where a job writes, relative to the generation's folder."""
    return f"rung_{rung}/seed_{seed}/job_{job:03d}"


@dataclass(frozen=True)
class Trial:
    """What the trials of an individual came to.

    Attributes:
        individual: its number.
        rung: the last that it reached.
        fitness: mean over seeds, higher is better; None where any of them failed.
        spread: standard deviation over seeds; None with fewer than two.
        result: the fitness.json content, numbers averaged over seeds; that of the first seed that failed, if any did.
    """

    individual: int
    rung: int
    fitness: float | None
    spread: float | None
    result: dict[str, Any]

    def order(self) -> tuple[bool, int, float, int]:
        """Sort key: best first. Who got further is better; failed ones come last."""
        return (self.fitness is None, -self.rung, -(self.fitness or 0.0), self.individual)


def trials_of(rung: int, results: Sequence[Sequence[dict[str, Any]]]) -> list[Trial]:
    """A rung's trials, best first.

    Args:
        rung: its number.
        results: per seed, the content of all jobs' fitness files: an individual's number and its result.
    """
    by_seed = [{int(found["individual"]): found for found in one} for one in results]
    trials = []
    for individual in by_seed[0]:
        found = [one[individual] for one in by_seed]
        values = [one["fitness"] for one in found]
        failed = [one for one in found if one["fitness"] is None]
        trials.append(
            Trial(
                individual=individual,
                rung=rung,
                fitness=None if failed else round(fmean(values), 6),
                spread=None if failed or len(values) < 2 else round(stdev(values), 6),
                result=failed[0] if failed else _averaged(found),
            )
        )
    return sorted(trials, key=Trial.order)


def _averaged(results: Sequence[Any]) -> Any:
    """The same structure with every number the mean of theirs; anything else is the first's."""
    first = results[0]
    if isinstance(first, dict):
        return {name: _averaged([one[name] for one in results]) for name in first}
    if isinstance(first, list):
        return [_averaged(parts) for parts in zip(*results, strict=True)]
    if len(results) == 1 or isinstance(first, bool) or not all(isinstance(one, int | float) for one in results):
        return first
    mean = fmean(results)
    return int(mean) if isinstance(first, int) and mean == int(mean) else round(mean, 6)


def read_trials(generation: Path, trials: Trials, rung: int) -> list[Trial]:
    """A rung's trials from the files of its jobs, best first."""
    results: list[list[dict[str, Any]]] = []
    for seed in range(trials.seeds):
        paths = [generation / name / "fitness.json" for name in trials.folders(rung, seed)]
        results.append([found for path in paths for found in read_json(path)["individuals"]])
    return trials_of(rung, results)


def merged(rungs: Sequence[Sequence[Trial]]) -> list[Trial]:
    """Everybody's last trial, best first."""
    last = {trial.individual: trial for trials in rungs for trial in trials}
    return sorted(last.values(), key=Trial.order)
