"""Pretraining: a weight vector and a pool become a trained RGB encoder on disk."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from pipeline_src.batches.clip_reader import ClipReader
from pipeline_src.batches.loader import Batch, TrainingWindows, training_batches
from pipeline_src.batches.normalise import statistics_of
from pipeline_src.files import whole_file
from pipeline_src.loss.engine import EvolvedLoss
from pipeline_src.networks.encoder_file import EncoderConfig, save_encoder
from pipeline_src.settings.base import Settings
from pipeline_src.settings.learning import LossSettings, NetworkSettings, TrainingSettings, WindowSettings
from pipeline_src.shards.index import Collection
from pipeline_src.training.checkpoint import Checkpoint
from pipeline_src.training.device import prepare_device
from pipeline_src.training.loop import Diverged, train


class PretrainSettings(Settings):
    """What a pretraining job depends on."""

    loss: LossSettings
    network: NetworkSettings
    window: WindowSettings
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
    return EvolvedLoss(
        weights=weights,
        scales=scales,
        loss=settings.loss,
        network=settings.network,
        window=settings.window,
        statistics=statistics_of(pool, list(pool.index["modalities"])),
        spectrogram=ClipReader(pool, settings.window).spectrogram,
        seed=seed,
    )


def pool_batches(
    settings: PretrainSettings, pool: Collection, loss: EvolvedLoss, seed: int, first: int, steps: int, pinned: bool
) -> Iterable[Batch]:
    """Batches of the pool for the views of a loss."""
    windows = TrainingWindows(pool, settings.window, loss.views, seed)
    training = settings.training
    return training_batches(windows, training.batch_size, seed, first, steps, training.workers, pinned)


def pretrain(
    settings: PretrainSettings,
    pool: Collection,
    weights: Mapping[str, float],
    scales: Mapping[str, float],
    seed: int,
    *,
    encoder_path: Path,
    metrics_path: Path,
    provenance: dict[str, Any],
    accept_divergence: bool,
) -> None:
    """Train and write encoder.safetensors and metrics.jsonl.

    No term with a weight above 0 means no training: the encoder stays as it was initialised.

    Args:
        settings: of the job.
        pool: the clips.
        weights: per term, in [0, 1].
        scales: per term, from calibration.
        seed: of initialisation, order of clips and views.
        encoder_path, metrics_path: outputs. A sibling resume.pt keeps the state of an interrupted training.
        provenance: the run record that the encoder carries.
        accept_divergence: write a marked encoder when the loss diverges instead of raising.

    Raises:
        Diverged: the loss is no longer finite, and that is not accepted.
    """
    device = prepare_device(settings.training.device, settings.torch_threads)
    loss = build_loss(settings, pool, weights, scales, seed).to(device)
    checkpoint = Checkpoint(encoder_path.parent / "resume.pt", _mark(settings, pool, weights, scales, seed))
    steps = settings.training.iterations
    metrics: list[dict[str, Any]] = []
    status, reason = "ok", ""
    if loss.weights:
        try:
            metrics = train(
                loss,
                lambda first: pool_batches(settings, pool, loss, seed, first, steps, device.type == "cuda"),
                settings.training,
                checkpoint,
                device,
            )
        except Diverged as error:
            if not accept_divergence:
                raise
            status, reason = "diverged", str(error)
    frames = pool.describe("rgb")
    mean, std = pool.statistics("rgb")
    encoder = loss.encoders["rgb"]
    config = EncoderConfig(
        network=settings.network,
        window=settings.window,
        frame_rate=frames["attributes"]["frame_rate"],
        height=frames["item_shape"][0],
        width=frames["item_shape"][1],
        mean=tuple(mean.tolist()),
        std=tuple(std.tolist()),
        embedding_size=loss.embedding_size("rgb"),
        status=status,
        reason=reason,
        provenance=provenance,
    )
    end = {"event": "end", "status": status, "reason": reason, "iterations": steps if loss.weights else 0}
    with whole_file(metrics_path) as part:
        part.write_text("".join(json.dumps(line, sort_keys=True) + "\n" for line in [*metrics, end]))
    save_encoder(encoder_path, encoder, config)  # type: ignore[arg-type]
    checkpoint.remove()


def _mark(settings: PretrainSettings, pool: Collection, *parts: Any) -> str:
    """What a resume checkpoint belongs to: settings, code, pool, weights, scales, seed and torch's version."""
    content = [settings.model_dump(mode="json"), pool.index, torch.__version__, *parts]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
