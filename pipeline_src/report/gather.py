"""Everything that the report shows of a run, read from its files."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline_src.errors import UserError
from pipeline_src.evolution.tables import MEASURED, RANKING
from pipeline_src.files import read_json
from pipeline_src.report.benchmarks import Job, read_jobs
from pipeline_src.report.protocols import Protocols, read_protocols
from pipeline_src.settings.run import RunSettings
from pipeline_src.shards.index import failed_clips, read_statuses, read_table
from pipeline_src.transfer.results import file_of

DETAILS = ["train_clips", "test_clips", "classes", "chance", "majority", "unseen_clips"]


@dataclass(frozen=True)
class Model:
    """A trained lineup entry.

    Attributes:
        entry, kind, seed: which one.
        weights: per term; {} for scratch.
        steps: the logged steps of metrics.jsonl, in order.
        end: its last line; {} where it is missing.
        fitness: the content of fitness.json.
        provenance: the run record that the encoder carries; {} where it has none.
    """

    entry: str
    kind: str
    seed: int
    weights: dict[str, float]
    steps: list[dict[str, Any]]
    end: dict[str, Any]
    fitness: dict[str, Any]
    provenance: dict[str, Any]

    def curve(self, term: str) -> tuple[list[int], list[float]]:
        """Logged iterations and raw losses of a term; a step whose batch had no clip for it is left out."""
        found = [(line["iteration"], line["terms"][term]["raw"]) for line in self.steps if term in line["terms"]]
        return [int(step) for step, _ in found], [float(raw) for _, raw in found]

    @property
    def terms(self) -> list[str]:
        """Terms that were trained."""
        return sorted({term for line in self.steps for term in line["terms"]})


@dataclass(frozen=True)
class ClipSet:
    """A collection.

    Attributes:
        name: its name.
        index: the content of index.json.
        failed: clip_id, status and reason of every clip that is not ok.
        note: what the plan says of its source, such as how much of a benchmark is there; "" for nothing.
    """

    name: str
    index: dict[str, Any]
    failed: pd.DataFrame
    note: str = ""


@dataclass(frozen=True)
class RunFacts:
    """What the files of a run say.

    Attributes:
        settings: the run's.
        individuals: one row per individual of the search: generation, the columns of generation.csv but for the
            weights (fitness NaN = failed), and mix.
        weights: the individuals' weights, same rows, one column per term.
        best: generation, individual, fitness and weights of the best individual; None when all failed.
        controls: the content of a fitness.json by control.
        scales: median_gradient_norm and scale by term.
        models: in the order of the lineup, then of the seeds.
        results: results.csv, with train_clips, test_clips, classes, chance, majority, unseen_clips (NaN = unknown),
            status, reason, and unseen_classes, a tuple of the names of classes that only test clips have.
        protocols: what was found beside the results.
        overlap: the content of overlap.json.
        collections: the pool, then the labelled ones.
        jobs: measured jobs of the pipeline.
    """

    settings: RunSettings
    individuals: pd.DataFrame
    weights: pd.DataFrame
    best: dict[str, Any] | None
    controls: dict[str, dict[str, Any]]
    scales: dict[str, dict[str, float]]
    models: list[Model]
    results: pd.DataFrame
    protocols: Protocols
    overlap: dict[str, Any]
    collections: list[ClipSet]
    jobs: list[Job]

    @property
    def finalists(self) -> pd.DataFrame:
        """Individuals with a fitness that were trained longest: with halving, others do not compare with them."""
        scored = self.individuals[self.individuals["fitness"].notna()]
        return scored[scored["rung"] == scored["rung"].max()]


def gather(settings: RunSettings) -> RunFacts:
    """Read the run that the settings describe, as seen from the working directory.

    Raises:
        UserError: a file that every finished run has is missing or broken.
    """
    run, data = Path(settings.results_root) / settings.run, Path(settings.data_root)
    labelled = {
        *settings.transfer.collections,
        *([settings.fitness.weak.collection] if settings.fitness.weak else []),
    }
    names = ["pool", *sorted(labelled)]
    individuals, weights = _search(run / "search", settings)
    last = run / "search" / f"gen_{settings.search.generations - 1:03d}"
    return RunFacts(
        settings=settings,
        individuals=individuals,
        weights=weights,
        best=_required(last / "state.json")["best"],
        controls=_required(run / "search" / "controls.json")["controls"],
        scales=_required(run / "search" / "scales.json")["terms"],
        models=[
            _model(run / "models" / entry.name, entry.name, str(entry.kind), seed)
            for entry in settings.lineup
            for seed in settings.seeds
        ],
        results=_results(run / "transfer"),
        protocols=read_protocols(settings),
        overlap=_required(run / "overlap.json"),
        collections=[_clip_set(data / name) for name in names],
        jobs=read_jobs([*(data / name / "benchmarks" for name in names), run / "benchmarks"]),
    )


def measure_of(fitness: dict[str, Any], measure: str, weak_measure: str | None) -> float | None:
    """A measure from the content of a fitness.json, higher is better; None where it was not taken.

    Args:
        fitness: the content.
        measure: zipf (minus the divergence in nats), weak, or mix.
        weak_measure: nmi, ari or accuracy.
    """
    if measure == "mix":
        value = fitness.get("fitness") if fitness.get("measure") == "mix" else None
        return None if value is None else float(value)
    found = fitness.get(measure)
    if not found:
        return None
    if measure == "zipf":
        return -float(found["kl"])
    value = found.get(weak_measure)
    return None if value is None else float(value)


def _required(path: Path) -> Any:
    if not path.exists():
        raise UserError(f"{path}: missing; run snakemake to make it")
    return read_json(path)


def _optional(path: Path) -> dict[str, Any]:
    return dict(read_json(path)) if path.exists() else {}


def _search(folder: Path, settings: RunSettings) -> tuple[pd.DataFrame, pd.DataFrame]:
    terms = list(settings.loss.terms)
    tables = []
    for number in range(settings.search.generations):
        generation = folder / f"gen_{number:03d}"
        table = read_table(generation / "generation.csv", [*RANKING, *MEASURED, *terms])
        table.insert(0, "generation", number)
        table["mix"] = table["fitness"] if settings.fitness.measure == "mix" else None
        tables.append(table)
    everyone = pd.concat(tables, ignore_index=True)
    texts = ("status", "reason")
    numbers = [name for name in (*RANKING, *MEASURED, "mix", *terms) if name not in texts]
    everyone[numbers] = everyone[numbers].apply(pd.to_numeric, errors="coerce")
    return everyone.drop(columns=terms), everyone[terms]


def _model(folder: Path, entry: str, kind: str, seed: int) -> Model:
    own = folder / f"seed_{seed}"
    path = own / "metrics.jsonl"
    if not path.exists():
        raise UserError(f"{path}: missing; run snakemake to make it")
    try:
        lines = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    except ValueError as error:
        raise UserError(f"{path}: not valid JSON lines ({error}); delete it and run snakemake again") from error
    return Model(
        entry=entry,
        kind=kind,
        seed=seed,
        weights=_optional(folder / "weights.json"),
        steps=[line for line in lines if "event" not in line],
        end=next((line for line in lines if line.get("event") == "end"), {}),
        fitness=_required(own / "fitness.json"),
        provenance=_optional(own / "config.json").get("provenance") or {},
    )


def _results(folder: Path) -> pd.DataFrame:
    columns = ["collection", "split", "entry", "kind", "seed", "method", "top1"]
    table = read_table(folder / "results.csv", columns)
    found = [_result_file(folder, row) for row in table.to_dict("records")]
    for name in DETAILS:
        table[name] = pd.to_numeric(pd.Series([content.get(name) for content in found], dtype=object), errors="coerce")
    for name in ("status", "reason"):
        table[name] = [str(content.get(name, "")) for content in found]
    table["unseen_classes"] = [tuple(map(str, content.get("unseen_classes", ()))) for content in found]
    for name in ("split", "seed", "top1"):
        table[name] = pd.to_numeric(table[name], errors="coerce")
    return table


def _result_file(folder: Path, row: dict[Any, Any]) -> dict[str, Any]:
    """What one row of results.csv came from, for its number of test clips and its chance level."""
    split = folder / row["collection"] / f"split_{row['split']}"
    if row["kind"] != "baseline":
        return _optional(split / row["entry"] / f"seed_{row['seed']}" / file_of(row["method"]))
    results = _optional(split / "baselines.json").get("results", [])
    return next((r for r in results if r["entry"] == row["entry"] and r["method"] == row["method"]), {})


def _clip_set(folder: Path) -> ClipSet:
    index = _required(folder / "index.json")
    columns = ["clip_id", "status", "reason"]
    tables = [pd.DataFrame(columns=columns, dtype=str)]
    for entry in index["shards"]:
        if (folder / "status" / "decode" / f"{entry['shard']}.csv").exists():
            tables.append(read_statuses(folder, entry["shard"], index["modalities"])[columns])
    note = str(_optional(folder / "plan" / "shards.json").get("note", ""))
    return ClipSet(folder.name, index, failed_clips(tables).reset_index(drop=True), note)
