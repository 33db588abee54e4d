"""What a run will cost in disk space and hours: measured on earlier jobs where there are any, else a stated default."""

import json
import os
import statistics
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline_src.job_times import seconds_taken
from pipeline_src.report.run_size import EXTRACTED, FROZEN_METHODS, Size, controls_of, planned_clips, trials_of
from pipeline_src.settings.clips import CollectionSettings, WorldSource
from pipeline_src.settings.run import RunSettings

FOLDERS = {"rgb": "frames", "flow": "flow", "grey": "grey", "audio": "audio", "sound": "sound"}
# Length of a clip where neither a setting nor an earlier plan says it.
ASSUMED_CLIP_S = 10.0
# Stored bytes per raw byte of real videos at 48x48, 12 frames/s; flow mostly repeats its zero.
KEPT = {"jpeg": 0.12, "lzf": 0.71, "gzip": 0.6, "raw": 1.0, "flow": 0.11, "grey": 0.75, "audio": 0.85, "sound": 0.85}
WORLD_BYTES_PER_S = 30_000
MEDIA_BYTES_PER_S = 60_000
# Megabytes of an encoder of 32-bit weights.
ENCODER_MB = {"small_r3d": 4, "r3d_18": 133, "r2plus1d_18": 126, "r3d_50": 185, "r2plus1d_50": 186}
THREADS = {"render_world": 8, "decode_clips": 8, "extract_flow": 8}
# Seconds of one core: orders of magnitude on a workstation of 2020, for planning before anything is measured.
SECONDS = {
    "render_world": ("video", 0.2),
    "sample_videos": ("video", 0.5),
    "plan_clips": ("video", 0.005),
    "fetch_clips": ("URL", 5.0),
    "decode_clips": ("second of video", 0.1),
    "extract_flow": ("megapixel", 0.1),
    "extract_grey": ("megapixel", 0.02),
    "extract_audio": ("second of video", 0.002),
    "index_collection": ("clip", 0.001),
    "calibrate_loss": ("iteration", 3.0),
    "try_controls": ("iteration", 0.2),
    "score_controls": ("job", 60.0),
    "try_weights": ("iteration", 1.0),
    "pretrain_model": ("iteration", 1.0),
    "score_model": ("job", 60.0),
    "embed_collection": ("window", 0.05),
    "evaluate_kmeans": ("job", 10.0),
    "evaluate_linear": ("job", 60.0),
    "evaluate_retrieval": ("job", 10.0),
    "evaluate_fewer_labels": ("job", 120.0),
    "evaluate_probes": ("job", 120.0),
    "evaluate_finetune": ("iteration", 1.0),
    "evaluate_baselines": ("job", 20.0),
}


@dataclass(frozen=True)
class Disk:
    """Bytes of one kind of files of a collection or of the run; `origin` says whether they are measured."""

    owner: str
    kind: str
    total: int
    origin: str


@dataclass(frozen=True)
class Hours:
    """Hours of a stage: of one machine, of its cores and of its GPU; `origin` says whether they are measured."""

    stage: str
    jobs: int
    cpu: float
    gpu: float
    origin: str


def clip_seconds(collection: CollectionSettings) -> tuple[float, str]:
    """Length of a clip in seconds, and where that comes from."""
    if collection.plan.duration_s is not None:
        return collection.plan.duration_s, "plan.duration_s"
    if isinstance(collection.source, WorldSource):
        return sum(collection.source.seconds) / 2, "source.seconds"
    return ASSUMED_CLIP_S, f"clips assumed to last {ASSUMED_CLIP_S:g} s"


def disk(run: RunSettings, sizes: dict[str, Size]) -> list[Disk]:
    """Disk space per collection and modality, and of the trained networks."""
    rows = []
    for name in run.used_collections:
        collection, clips = run.collections[name], sizes[name].clips
        folder = Path(run.data_root) / name
        shards = planned_clips(folder / "plan" / "shards.json")
        seconds, length_from = clip_seconds(collection)
        for modality in (*collection.modalities, "sound"):
            files = {shard: folder / FOLDERS[modality] / f"{shard}.h5" for shard in shards}
            have = {shard: file.stat().st_size for shard, file in files.items() if file.is_file()}
            counted = sum(shards[shard] for shard in have)
            if counted:
                each = sum(have.values()) / counted
                origin = f"measured: {each:,.0f} bytes per clip in {counted} clips of {folder}"
            else:
                kept = KEPT[run.decode.codec if modality == "rgb" else modality]
                each = _raw_bytes(run, modality, seconds) * kept
                origin = f"default: {each:,.0f} bytes per clip, {kept:g} of the raw size, {length_from}"
            rows.append(Disk(name, modality, round(each * clips), origin))
        if isinstance(collection.source, WorldSource):
            rendered = [file.stat().st_size for file in (folder / "world").glob("*.mp4")]
            each = statistics.mean(rendered) if rendered else seconds * WORLD_BYTES_PER_S
            origin = f"measured: {len(rendered)} videos" if rendered else f"default: {WORLD_BYTES_PER_S} bytes/s"
            rows.append(Disk(name, "world", round(clips * each), origin))
        if run.fetch.keep_media and sizes[name].addresses:
            total = round(clips * seconds * MEDIA_BYTES_PER_S)
            rows.append(Disk(name, "media", total, f"default: {MEDIA_BYTES_PER_S} bytes/s, {length_from}"))
    encoders = [file.stat().st_size for file in (_results(run) / "models").glob("*/seed_*/encoder.safetensors")]
    each = statistics.median(encoders) if encoders else ENCODER_MB[run.network.video] * 1e6
    found = f"measured: {len(encoders)} of {_results(run)}" if encoders else f"default for {run.network.video}"
    rows.append(Disk(run.run, "models", round(each * len(run.lineup) * len(run.seeds)), found))
    return rows


def _raw_bytes(run: RunSettings, modality: str, seconds: float) -> float:
    frames = max(1, round(seconds * run.decode.frame_rate))
    pixels = run.decode.height * run.decode.width
    return {
        "rgb": frames * pixels * 3,
        "grey": frames * pixels,
        "flow": (frames - 1) * pixels * 2,
        "sound": seconds * run.decode.sound_rate * 2,
        "audio": seconds / run.audio.hop_s * run.audio.mels * 2,
    }[modality]


def hours(run: RunSettings, sizes: dict[str, Size], counts: dict[str, int], has_gpu: bool) -> list[Hours]:
    """CPU and GPU hours of each stage that takes time.

    Args:
        run: the configuration.
        sizes: of its collections.
        counts: jobs of each rule.
        has_gpu: whether a device `auto` is a GPU.
    """
    devices = {
        "calibrate_loss": run.proxy.device,
        "try_controls": run.proxy.device,
        "try_weights": run.proxy.device,
        "score_controls": run.fitness.embed.device,
        "score_model": run.fitness.embed.device,
        "pretrain_model": run.final.device,
        "embed_collection": run.transfer.embed.device,
        "evaluate_probes": run.transfer.embed.device,
        "evaluate_finetune": run.transfer.finetune.device,
    }
    amounts = _amounts(run, sizes)
    measured = _measured(run)
    rows = []
    for stage, (unit, default) in SECONDS.items():
        if not counts.get(stage):
            continue
        threads = THREADS.get(stage, run.torch_threads if stage in devices else 1)
        if stage in measured:
            seconds, per, samples, where = measured[stage]
            cores = min(threads, os.cpu_count() or 1)
            wall = seconds * amounts[stage][per]
            origin = f"measured: median {seconds:.3g} s per {per} of {samples} jobs in {where}, times {cores} cores"
        else:
            wall, cores = default * amounts[stage][unit], 1
            origin = f"default: {default:g} s per {unit}"
        uses_gpu = devices.get(stage) == "cuda" or (devices.get(stage) == "auto" and has_gpu)
        rows.append(Hours(stage, counts[stage], wall * cores / 3600, wall / 3600 if uses_gpu else 0.0, origin))
    return rows


def _amounts(run: RunSettings, sizes: dict[str, Size]) -> dict[str, dict[str, float]]:
    """How much each stage has to do, in each unit that its time may be known for."""
    found: dict[str, dict[str, float]] = {stage: {} for stage in SECONDS}

    def add(stage: str, **amounts: float) -> None:
        for unit, amount in amounts.items():
            named = unit.replace("_", " ")
            found[stage][named] = found[stage].get(named, 0.0) + amount

    for name in run.used_collections:
        collection, size = run.collections[name], sizes[name]
        clips, videos = size.clips, size.videos
        seconds = clips * clip_seconds(collection)[0]
        megapixels = seconds * run.decode.frame_rate * run.decode.height * run.decode.width / 1e6
        if collection.source.kind == "world":
            add("render_world", video=videos)
        if collection.source.kind == "youtube":
            add("sample_videos", video=videos)
        add("plan_clips", video=videos)
        add("fetch_clips", URL=clips * size.addresses / max(videos, 1), clip=clips)
        add("decode_clips", second_of_video=seconds, clip=clips)
        for modality in collection.modalities:
            if modality in EXTRACTED:
                add(EXTRACTED[modality], second_of_video=seconds, megapixel=megapixels, clip=clips)
        add("index_collection", clip=clips)
    models = len(run.lineup) * len(run.seeds)
    steps = sum(run.final_of(entry).iterations for entry in run.lineup if entry.trained) * len(run.seeds)
    splits = sum(run.collections[name].split_count for name in run.transfer.collections)
    labelled = sum(sizes[name].clips for name in run.transfer.collections)
    add("calibrate_loss", iteration=run.loss.calibrate_batches if run.loss.calibrate else 0)
    add("score_controls", job=1)
    add("try_controls", iteration=controls_of(run).steps(run.proxy.iterations))
    add("try_weights", iteration=sum(trials.steps(run.proxy.iterations) for trials in trials_of(run)))
    add("pretrain_model", iteration=steps)
    add("score_model", job=models)
    add("embed_collection", window=models * labelled * run.transfer.embed.windows)
    for stage in (*FROZEN_METHODS, "evaluate_fewer_labels", "evaluate_probes"):
        add(stage, job=models * splits)
    tuned = models * splits * (1 + len(run.transfer.fewer_labels.finetune)) * run.transfer.finetune.trainings
    add("evaluate_finetune", iteration=tuned * run.transfer.finetune.iterations)
    add("evaluate_baselines", job=splits)
    return found


def _measured(run: RunSettings) -> dict[str, tuple[float, str, int, str]]:
    """Median seconds per unit of each stage with earlier jobs: seconds, unit, number of jobs, where they are.

    Jobs of this run's own collections and results come first; those of its neighbours, which may have had other
    settings, stand in where it has none.
    """
    samples: dict[str, tuple[str, list[float], str]] = {}

    def add(stage: str, unit: str, values: Iterable[float], where: Path) -> None:
        values = list(values)
        if values and stage in SECONDS and stage not in samples:
            samples[stage] = (unit, values, str(where))

    for folder in _own_first(Path(run.data_root), run.used_collections):
        clips = planned_clips(folder / "plan" / "shards.json")
        for stage in ("fetch_clips", "decode_clips", *EXTRACTED.values()):
            jobs = _seconds(folder, stage)
            add(stage, "clip", (s / clips[name] for name, s in jobs if clips.get(name)), folder)
        for stage, unit in (("index_collection", "clip"), ("plan_clips", "video"), ("render_world", "video")):
            whole = sum(clips.values())
            add(stage, unit, (s / whole for _, s in _seconds(folder, stage) if whole), folder)
    for folder in _own_first(Path(run.results_root), (run.run,)):
        for stage, place in (("try_weights", _trial), ("try_controls", _control), ("pretrain_model", _model)):
            steps = ((s, _iterations(folder / place(name))) for name, s in _seconds(folder, stage))
            add(stage, "iteration", (s / count for s, count in steps if count), folder)
        for stage, (unit, _) in SECONDS.items():
            if unit == "job":
                add(stage, "job", (s for _, s in _seconds(folder, stage)), folder)
        if folder == _results(run):
            # How much these did stands in the configuration alone: only this run's own is known.
            for stage, unit, amount in (
                ("calibrate_loss", "iteration", run.loss.calibrate_batches),
                ("evaluate_finetune", "iteration", run.transfer.finetune.trainings * run.transfer.finetune.iterations),
            ):
                add(stage, unit, (s / amount for _, s in _seconds(folder, stage)), folder)
            add("embed_collection", "window", _seconds_per_window(run, folder), folder)
    return {
        stage: (statistics.median(values), unit, len(values), where) for stage, (unit, values, where) in samples.items()
    }


def _seconds(folder: Path, stage: str) -> list[tuple[str, float]]:
    """Name of the job's file and wall seconds of each earlier job of a stage."""
    found = []
    for path in [folder / "benchmarks" / f"{stage}.tsv", *sorted((folder / "benchmarks" / stage).glob("*.tsv"))]:
        if seconds := seconds_taken(path):
            found.append((path.stem, seconds))
    return found


def _seconds_per_window(run: RunSettings, folder: Path) -> Iterator[float]:
    for job, seconds in _seconds(folder, "embed_collection"):
        for name in run.transfer.collections:
            clips = sum(planned_clips(Path(run.data_root) / name / "plan" / "shards.json").values())
            if job.endswith(f"_{name}") and clips:
                yield seconds / (clips * run.transfer.embed.windows)


def _own_first(root: Path, own: Iterable[str]) -> list[Path]:
    first = [root / name for name in own]
    others = sorted(path for path in root.glob("*") if (path / "benchmarks").is_dir() and path not in first)
    return [*first, *others]


def _trial(name: str) -> str:
    """Metrics of a job of the search; those of later rungs count the steps of earlier ones, too, and are left out."""
    search, generation, rung, seed, job = (name.split("_") + [""] * 5)[:5]
    return f"{search}/gen_{generation}/rung_0/seed_{seed}/job_{job}/metrics.jsonl" if rung == "0" else ""


def _control(name: str) -> str:
    rung, seed, job = (name.split("_") + [""] * 3)[:3]
    return f"search/controls/rung_{rung}/seed_{seed}/job_{job}/metrics.jsonl"


def _model(name: str) -> str:
    entry, _, seed = name.rpartition("_")
    return f"models/{entry}/seed_{seed}/metrics.jsonl"


def _iterations(metrics: Path) -> int:
    """Steps that a job's trainings took together; 0 where its file does not say."""
    try:
        lines = [json.loads(line) for line in metrics.read_text().splitlines()]
        return sum(int(line["iterations"]) for line in lines if line.get("event") == "end")
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        return 0


def _results(run: RunSettings) -> Path:
    return Path(run.results_root) / run.run
