"""Pretraining: a weight vector and a pool become a trained RGB encoder on disk."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline_src.batches.clip_reader import ClipReader
from pipeline_src.batches.loader import Batch, TrainingWindows, training_batches
from pipeline_src.batches.normalise import statistics_of
from pipeline_src.batches.views import View
from pipeline_src.files import write_json
from pipeline_src.loss.engine import EvolvedLoss
from pipeline_src.networks.encoder_file import EncoderConfig, Fit, save_encoder
from pipeline_src.networks.parallel import process, processes
from pipeline_src.settings.base import Settings
from pipeline_src.settings.learning import LossSettings, NetworkSettings, TrainingSettings, WindowSettings
from pipeline_src.shards.index import Collection
from pipeline_src.training.checkpoint import Checkpoint
from pipeline_src.training.device import prepare_device
from pipeline_src.training.distributed import together
from pipeline_src.training.loop import Course, Diverged, train, write_lines

FAILED_METRICS = "diverged.jsonl"
RUNNING_METRICS = "running.jsonl"


class PretrainSettings(Settings):
    """What a pretraining job depends on."""

    loss: LossSettings
    network: NetworkSettings
    window: WindowSettings
    fit: Fit
    training: TrainingSettings
    torch_threads: int


def build_loss(
    settings: PretrainSettings,
    pool: Collection,
    weights: Mapping[str, float],
    scales: Mapping[str, float],
    seed: int,
) -> EvolvedLoss:
    """The untrained networks and terms of a weight vector."""
    loss = EvolvedLoss(
        weights=weights,
        scales=scales,
        loss=settings.loss,
        network=settings.network,
        window=settings.window,
        statistics=statistics_of(pool, list(pool.index["modalities"])),
        spectrogram=ClipReader(pool, settings.window).spectrogram,
        seed=seed,
    )
    if settings.training.channels_last:
        loss.use_channels_last()
    return loss


def pool_batches(
    settings: PretrainSettings,
    pool: Collection,
    views: Iterable[View],
    seed: int,
    first: int,
    count: int,
    pinned: bool,
    rows: np.ndarray | None = None,
) -> Iterable[Batch]:
    """Batches [first, count) of the pool, or of some of its rows, for views; this process's share."""
    windows = TrainingWindows(pool, settings.window, tuple(sorted(views)), seed, rows)
    training, share = settings.training, (process(), processes())
    return training_batches(windows, training.batch_size, seed, first, count, training.workers, pinned, share)


def train_population(
    settings: PretrainSettings,
    pool: Collection,
    population: Sequence[Mapping[str, float]],
    scales: Mapping[str, float],
    seed: int,
    device: torch.device,
    *,
    checkpoint: Checkpoint,
    until: int,
    start: dict[str, Any] | None = None,
    curves_folders: Sequence[Path] | None = None,
    running_paths: Sequence[Path] | None = None,
    rows: np.ndarray | None = None,
) -> list[Course]:
    """Train several weight vectors on the same batches, each as if it were alone.

    Args:
        settings, pool, scales, seed, rows: as for `pretrain`.
        population: weights per term, of each.
        device: of all.
        checkpoint: where the state is kept; removed by the caller when its outputs stand.
        until: the step to stop before.
        start: the state that a shorter training of the same ones ended with.
        curves_folders: where the metrics of each also go as curves, where wanted.
        running_paths: files that have the metrics of each so far, where wanted.
    """
    courses = []
    for number, weights in enumerate(population):
        loss = build_loss(settings, pool, weights, scales, seed).to(device)
        if settings.training.compile:
            # Tells the compiler, too; see prepare_device.
            torch.use_deterministic_algorithms(torch.are_deterministic_algorithms_enabled())
            loss.compile_encoders()
        folder, path = (paths[number] if paths else None for paths in (curves_folders, running_paths))
        courses.append(Course(loss, settings.training, folder, path))
    views = {view for course in courses for view in course.loss.views if course.loss.weights}
    count = until * settings.training.accumulate

    def batches_from(first: int) -> Iterable[Batch]:
        return pool_batches(settings, pool, views, seed, first, count, device.type == "cuda", rows)

    if views:
        train(courses, batches_from, settings.training, checkpoint, device, until=until, start=start)
    return courses


def pretrain(
    settings: PretrainSettings,
    pool: Collection,
    weights: Mapping[str, float],
    scales: Mapping[str, float],
    seed: int,
    *,
    encoder_path: Path,
    metrics_path: Path,
    config_path: Path | None = None,
    provenance: dict[str, Any],
    rows: np.ndarray | None = None,
) -> None:
    """Train and write encoder.safetensors, metrics.jsonl and, where wanted, config.json.

    No term with a weight above 0 means no training: the encoder stays as it was initialised.

    Args:
        settings: of the job.
        pool: the clips.
        weights: per term, in [0, 1].
        scales: per term, from calibration.
        seed: of initialisation, order of clips and views.
        encoder_path, metrics_path, config_path: outputs. A sibling resume.pt keeps the state of an interrupted
            training, a sibling RUNNING_METRICS the metrics so far, and FAILED_METRICS those of one that diverged.
        provenance: the run record that the encoder carries.
        rows: rows of the pool to train on; None for all.

    Raises:
        Diverged: the loss is no longer finite.
    """
    training = settings.training
    with together(prepare_device(training.device, settings.torch_threads), training.processes) as device:
        chosen = None if rows is None else rows.tolist()
        mark = mark_of(settings, pool, weights, scales, seed, chosen)
        checkpoint = Checkpoint(encoder_path.parent / "resume.pt", mark)
        (course,) = train_population(
            settings,
            pool,
            [weights],
            scales,
            seed,
            device,
            checkpoint=checkpoint,
            until=training.iterations,
            curves_folders=[encoder_path.parent / "tensorboard"] if training.tensorboard else None,
            running_paths=[metrics_path.with_name(RUNNING_METRICS)],
            rows=rows,
        )
        if process() == 0:
            failed = metrics_path.with_name(FAILED_METRICS)
            for path in (failed, metrics_path.with_name(RUNNING_METRICS)):
                path.unlink(missing_ok=True)
            if course.failure:
                write_metrics(failed, course, "diverged", training.iterations)
        if course.failure:
            raise Diverged(f"{course.failure} ({FAILED_METRICS} beside the outputs has all terms' values)")
        if process() > 0:
            return
        loss = course.loss
        config = encoder_config(settings, pool, loss.embedding_size("rgb"), provenance)
        write_metrics(metrics_path, course, "ok", training.iterations if loss.weights else 0)
        save_encoder(encoder_path, loss.encoders["rgb"], config)  # type: ignore[arg-type]
        if config_path is not None:
            write_json(config_path, config.model_dump(mode="json"))
        checkpoint.remove()


def write_metrics(path: Path, course: Course, status: str, iterations: int) -> None:
    """The logged steps and how the training ended, as lines of JSON."""
    end = {"event": "end", "status": status, "reason": course.failure, "iterations": iterations}
    write_lines(path, [*course.metrics, end])


def encoder_config(
    settings: PretrainSettings,
    pool: Collection,
    embedding_size: int,
    provenance: dict[str, Any],
) -> EncoderConfig:
    """What using an encoder that was trained on a pool needs."""
    frames = pool.describe("rgb")
    mean, std = pool.statistics("rgb")
    return EncoderConfig(
        network=settings.network,
        window=settings.window,
        frame_rate=frames["attributes"]["frame_rate"],
        height=frames["item_shape"][0],
        width=frames["item_shape"][1],
        fit=settings.fit,
        mean=tuple(mean.tolist()),
        std=tuple(std.tolist()),
        embedding_size=embedding_size,
        provenance=provenance,
    )


def mark_of(settings: PretrainSettings, pool: Collection, *parts: Any) -> str:
    """What a resume checkpoint belongs to: settings, code, pool, weights, scales, seed and torch's version."""
    content = [settings.for_result(), pool.index, torch.__version__, *parts]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
