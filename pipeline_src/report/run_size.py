"""How large a run will be, from its configuration alone: videos, clips, shards and jobs."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

from pipeline_src.clips.folder import list_videos
from pipeline_src.clips.rows import is_url
from pipeline_src.clips.sources import list_rows, place_of
from pipeline_src.errors import UserError
from pipeline_src.evolution.trials import Trials
from pipeline_src.settings.clips import BenchmarkSource, CollectionSettings, FolderSource, ListSource, YoutubeSource
from pipeline_src.settings.run import RunSettings

EXTRACTED = {"flow": "extract_flow", "grey": "extract_grey", "audio": "extract_audio"}
ONCE = (
    "check_overlap",
    "calibrate_loss",
    "propose_controls",
    "score_controls",
    "collect_individuals",
    "collect_results",
    "write_report",
)
# What Snakefile's localrules name: they run where Snakemake does. `all` is counted there, too, as Snakemake does.
LOCAL = (
    "all",
    "plan_clips",
    "plan_retry",
    "retry_failed",
    "check_overlap",
    "propose_weights",
    "propose_controls",
    "rank_generation",
    "collect_individuals",
    "choose_weights",
    "collect_results",
    "export_encoder",
    "write_report",
)
FROZEN_METHODS = ("evaluate_kmeans", "evaluate_linear", "evaluate_retrieval")


@dataclass(frozen=True)
class Size:
    """A collection's size.

    Attributes:
        videos, clips, shards: their numbers; clips without the spare candidates.
        addresses: how many of the videos are at URLs.
        origin: where the number comes from.
    """

    videos: int
    clips: int
    shards: int
    addresses: int
    origin: str


def collection_size(name: str, collection: CollectionSettings) -> Size:
    """Count the videos of a source; nothing is opened but a list.

    Raises:
        UserError: a list that cannot be read, or lacks a column that the settings name.
    """
    source, plan = collection.source, collection.plan
    addresses = 0
    if isinstance(source, FolderSource | BenchmarkSource):
        videos = len(list_videos(source.path))
        origin = f"files in {source.path}"
    elif isinstance(source, ListSource):
        videos, addresses = _list_rows(source, f"collections.{name}.source")
        origin = f"rows of {source.path}"
    else:
        videos = source.videos
        addresses = source.videos if isinstance(source, YoutubeSource) else 0
        origin = "the setting videos"
    several = plan.duration_s is not None and getattr(source, "start_column", None) is None
    clips = videos * (plan.per_video if several else 1)
    if clips > videos:
        origin += f", at most {plan.per_video} clips each"
    candidates = math.ceil(plan.clips_per_shard * (1 + plan.spare))
    return Size(videos, math.ceil(clips / (1 + plan.spare)), -(-clips // candidates), addresses, origin)


def _list_rows(source: ListSource, setting: str) -> tuple[int, int]:
    """Distinct rows of a list, and how many of them are at URLs."""
    seen: set[int] = set()  # Hashes: two million rows as text would take half a gigabyte.
    addresses = 0
    for _, row in list_rows(source, setting):
        named = row[source.path_column].strip()
        key = hash((named, row[source.start_column].strip() if source.start_column else ""))
        if key not in seen:
            seen.add(key)
            addresses += is_url(place_of(named, source))
    if not seen:
        raise UserError(f"{setting}.path: {source.path!r} has no rows - allowed: a file with a row for each video")
    return len(seen), addresses


def job_counts(run: RunSettings, sizes: dict[str, Size]) -> dict[str, int]:
    """Jobs of each rule in the DAG of a run from scratch."""
    counts = dict.fromkeys(ONCE, 1)

    def add(rule: str, jobs: int) -> None:
        if jobs:
            counts[rule] = counts.get(rule, 0) + jobs

    for name in run.used_collections:
        collection, shards = run.collections[name], sizes[name].shards
        add("render_world", int(collection.source.kind == "world"))
        add("sample_videos", int(collection.source.kind == "youtube"))
        add("plan_clips", 1)
        add("fetch_clips", shards)
        add("decode_clips", shards)
        for modality in collection.modalities:
            if modality in EXTRACTED:
                add(EXTRACTED[modality], shards)
        add("index_collection", 1)
    generations = run.search.generations
    add("try_controls", controls_of(run).jobs(0) * run.search.trials.seeds)
    add("propose_weights", generations * len(run.searches))
    for trials in trials_of(run):
        for rung in range(trials.rungs):
            rule = "try_weights" if rung == trials.rungs - 1 else "try_weights_further"
            add(rule, trials.jobs(rung) * trials.seeds)
    add("rank_generation", generations * len(run.searches))
    entries, models = len(run.lineup), len(run.lineup) * len(run.seeds)
    splits = sum(run.collections[name].split_count for name in run.transfer.collections)
    add("choose_weights", entries)
    imported = sum(entry.kind == "pretrained" for entry in run.lineup) * len(run.seeds)
    add("import_model", imported)
    add("pretrain_model", models - imported)
    add("score_model", models)
    add("embed_collection", models * len(run.transfer.collections))
    for rule in FROZEN_METHODS:
        add(rule, models * splits)
    add("evaluate_probes", models * splits * bool(run.transfer.probes.names))
    fewer = run.transfer.fewer_labels
    add("evaluate_fewer_labels", models * splits * bool(fewer.linear))
    add("evaluate_finetune", models * splits * (1 + len(fewer.finetune)))
    add("evaluate_baselines", splits)
    add("export_encoder", sum(entry.trained for entry in run.lineup))
    add("all", 1)
    return counts


def submissions(counts: dict[str, int]) -> int:
    """Jobs that a cluster is handed: without local ones."""
    return sum(jobs for rule, jobs in counts.items() if rule not in LOCAL)


def trials_of(run: RunSettings) -> list[Trials]:
    """How the individuals of each generation of each search are tried."""
    search = run.search
    sizes = [search.population_of(number) for number in range(search.generations)] * len(run.searches)
    return [Trials(size, **search.trials.model_dump()) for size in sizes]


def controls_of(run: RunSettings) -> Trials:
    """How uniform weights and terms alone are tried."""
    count = 1 + len(run.search.controls_of(run.loss.terms))
    return Trials(count, share=run.search.trials.share, seeds=run.search.trials.seeds)


def planned_clips(shards_file: Path) -> dict[str, int]:
    """Clips of each shard of an existing plan; {} without one."""
    try:
        return {entry["shard"]: int(entry["clips"]) for entry in json.loads(shards_file.read_text())["shards"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
