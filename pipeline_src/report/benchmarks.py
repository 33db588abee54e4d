"""Time and memory of the pipeline's jobs, from Snakemake's benchmark files."""

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

STAGES = (
    "render_world",
    "plan_clips",
    "fetch_clips",
    "decode_clips",
    "extract_flow",
    "extract_grey",
    "extract_audio",
    "index_collection",
    "calibrate_loss",
    "try_controls",
    "score_controls",
    "try_weights",
    "pretrain_model",
    "import_model",
    "score_model",
    "embed_collection",
    "evaluate_kmeans",
    "evaluate_linear",
    "evaluate_retrieval",
    "evaluate_fewer_labels",
    "evaluate_probes",
    "evaluate_finetune",
    "evaluate_baselines",
    "export_encoder",
)


@dataclass(frozen=True)
class Job:
    """One measured job.

    Attributes:
        stage: its name.
        seconds: wall time.
        cpu_seconds: processor time of all its processes; NaN where it was too short to be measured.
        memory_mb: largest resident memory in MiB; NaN likewise.
    """

    stage: str
    seconds: float
    cpu_seconds: float
    memory_mb: float


@dataclass(frozen=True)
class StageCost:
    """All jobs of a stage: their number, times in seconds and the largest memory in MiB (None = not measured)."""

    stage: str
    jobs: int
    seconds: float
    longest: float
    cpu_seconds: float | None
    memory_mb: float | None
    share: float


def read_jobs(folders: Iterable[Path]) -> list[Job]:
    """Every row of the .tsv files in and below `benchmarks` folders; a folder that is missing has none.

    A file benchmarks/{stage}.tsv or benchmarks/{stage}/....tsv belongs to the stage.
    """
    jobs = []
    for folder in folders:
        for path in sorted(folder.rglob("*.tsv")):
            stage = path.relative_to(folder).parts[0].removesuffix(".tsv")
            with open(path, newline="", encoding="utf-8") as file:
                for row in csv.DictReader(file, delimiter="\t"):
                    seconds, cpu, memory = (_number(row.get(name)) for name in ("s", "cpu_time", "max_rss"))
                    if not math.isnan(seconds):
                        jobs.append(Job(stage, seconds, cpu, memory))
    return jobs


def cost_per_stage(jobs: Sequence[Job]) -> list[StageCost]:
    """Sums and maxima per stage, in the pipeline's order; `share` is the part of all wall time."""
    whole = sum(job.seconds for job in jobs)
    order = {name: place for place, name in enumerate(STAGES)}
    names = sorted({job.stage for job in jobs}, key=lambda name: (order.get(name, len(order)), name))
    return [_cost(name, [job for job in jobs if job.stage == name], whole) for name in names]


def total_cost(jobs: Sequence[Job]) -> StageCost | None:
    """The same over all jobs; None when there are none."""
    return _cost("all stages", jobs, sum(job.seconds for job in jobs)) if jobs else None


def _cost(name: str, jobs: Sequence[Job], whole: float) -> StageCost:
    cpu = [job.cpu_seconds for job in jobs if not math.isnan(job.cpu_seconds)]
    memory = [job.memory_mb for job in jobs if not math.isnan(job.memory_mb)]
    seconds = sum(job.seconds for job in jobs)
    return StageCost(
        stage=name,
        jobs=len(jobs),
        seconds=seconds,
        longest=max(job.seconds for job in jobs),
        cpu_seconds=sum(cpu) if cpu else None,
        memory_mb=max(memory, default=None),
        share=seconds / whole if whole else 0.0,
    )


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return math.nan
