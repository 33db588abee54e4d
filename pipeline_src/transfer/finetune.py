"""Fine-tuning: the whole RGB network trained with labels, tested on evenly spread windows of each clip."""

import copy
import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader
from tqdm import tqdm

from pipeline_src.batches.loader import Batch, TrainingWindows, training_batches
from pipeline_src.batches.normalise import normalise
from pipeline_src.batches.views import View
from pipeline_src.embedding.embed import even_windows, require_same_frames
from pipeline_src.networks.encoder import Encoder, Features
from pipeline_src.networks.encoder_file import EncoderConfig
from pipeline_src.settings.learning import TrainingSettings
from pipeline_src.settings.transfer import FinetuneSettings
from pipeline_src.shards.index import Collection
from pipeline_src.training.schedule import build_optimiser, learning_rate, set_learning_rate
from pipeline_src.transfer.split import LabelledVectors, Prediction, rows_of
from pipeline_src.transfer.validation import fitting_and_validation


class LabelledNetwork(nn.Module):
    """An encoder with a linear classifier."""

    def __init__(self, encoder: Encoder, embedding_size: int, classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.classifier = nn.Linear(embedding_size, classes)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, T, H, W) to logits (N, classes)."""
        return self.classifier(Features(self.encoder(x)).pooled)


def predict_by_finetuning(
    encoder: Encoder,
    config: EncoderConfig,
    collection: Collection,
    data: LabelledVectors,
    clips: pd.DataFrame,
    settings: FinetuneSettings,
    windows: int,
    seed: int,
    device: torch.device,
) -> Prediction | None:
    """Train on the split's training and validation clips, and predict its test clips.

    Of several learning rates the one is taken that is best on validation clips (of equally good ones the smallest):
    networks from different pretraining want different ones.

    Args:
        encoder, config: where training starts.
        collection: the clips.
        data, clips: one split of it, in the same order.
        settings: of the optimiser.
        windows: windows of a test clip whose class probabilities are averaged.
        seed: of the classifier and of the order of clips.
        device: where to compute.

    Returns:
        None when the training diverged.

    Raises:
        UserError: the encoder was trained with other frames than the collection has.
    """
    require_same_frames(config, collection)
    rows = rows_of(collection, clips)

    def tried(rate: float, training: np.ndarray, asked: np.ndarray) -> tuple[np.ndarray, float] | None:
        started = copy.deepcopy(encoder)
        parts = _Parts(rows, training, asked, data.labels)
        return _train_and_predict(started, config, collection, parts, settings, rate, windows, seed, device)

    training, rates = data.pick("train", "validation"), sorted(settings.learning_rates)
    chosen, scores = rates[len(rates) // 2], {}
    if len(rates) > 1:
        fitting, validation = fitting_and_validation(data, settings.validation, seed)
        if validation.any() and len(np.unique(data.labels[fitting])) > 1:
            for rate in rates:
                found = tried(rate, fitting, validation)
                # What diverges is never chosen.
                right = -1.0 if found is None else float((found[0] == data.labels[validation]).mean())
                scores[f"{rate:g}"] = round(right, 6)
            chosen = max(rates, key=lambda rate: (scores[f"{rate:g}"], -rate))
    found = tried(chosen, training, data.pick("test"))
    if found is None:
        return None
    labels, last = found
    details = {"learning_rate": chosen, "validation_top1": scores, "final_loss": round(last, 4), "windows": windows}
    return Prediction(labels, int(training.sum()), details)


@dataclass(frozen=True)
class _Parts:
    """Rows of a collection's clips (N,), which of them are trained on and asked for (N,), and labels (N,)."""

    rows: np.ndarray
    training: np.ndarray
    asked: np.ndarray
    labels: np.ndarray


def _train_and_predict(
    encoder: Encoder,
    config: EncoderConfig,
    collection: Collection,
    parts: _Parts,
    settings: FinetuneSettings,
    rate: float,
    windows: int,
    seed: int,
    device: torch.device,
) -> tuple[np.ndarray, float] | None:
    """Labels of the clips that are asked for, and the last loss; None when the training diverged."""
    torch.manual_seed(seed)
    classes = np.unique(parts.labels[parts.training])
    targets = torch.full((len(collection.clips),), -1)
    trained = parts.rows[parts.training]
    targets[trained] = torch.as_tensor(np.searchsorted(classes, parts.labels[parts.training]))
    network = LabelledNetwork(encoder, config.embedding_size, len(classes)).to(device)
    statistics = {"rgb": (list(config.mean), list(config.std))}
    train_windows = TrainingWindows(collection, config.window, (View("rgb"),), seed, trained)
    batches = training_batches(train_windows, settings.batch_size, seed, 0, settings.iterations, 0, pinned=False)
    last = _train(network, batches, targets.to(device), statistics, settings, rate, device)
    asked = even_windows(collection, config.window, parts.rows[parts.asked], windows)
    loader: DataLoader[np.ndarray] = DataLoader(asked, batch_size=2 * settings.batch_size)
    network.eval()
    with torch.inference_mode():
        found = [network(normalise(stored.to(device), "rgb", statistics)).softmax(1).cpu() for stored in loader]
    probabilities = torch.cat(found).reshape(-1, windows, len(classes)).mean(1)
    if not math.isfinite(last) or not torch.isfinite(probabilities).all():
        return None
    return classes[probabilities.argmax(1).numpy()], last


def _train(
    network: LabelledNetwork,
    batches: Iterable[Batch],
    targets: Tensor,
    statistics: dict[str, tuple[list[float], list[float]]],
    settings: FinetuneSettings,
    rate: float,
    device: torch.device,
) -> float:
    """Minimise the cross-entropy; the last tenth's mean loss."""
    optimiser = build_optimiser(network, TrainingSettings(learning_rate=rate, weight_decay=settings.weight_decay))
    network.train()
    losses = []
    for step, batch in enumerate(tqdm(batches, total=settings.iterations, unit="step", mininterval=5, file=sys.stderr)):
        set_learning_rate(optimiser, learning_rate(step, settings.iterations, rate, 0.1))
        logits = network(normalise(batch["rgb.now"].to(device), "rgb", statistics))
        loss = functional.cross_entropy(logits, targets[batch["clip"].to(device)])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        losses.append(loss.detach())
    return float(torch.stack(losses[-max(1, len(losses) // 10) :]).mean())
