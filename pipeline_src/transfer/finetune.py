"""Fine-tuning: the whole RGB network trained with labels, tested on evenly spread windows of each clip."""

import math
import sys
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader
from tqdm import tqdm

from pipeline_src.batches.loader import TrainingWindows, training_batches
from pipeline_src.batches.normalise import normalise
from pipeline_src.batches.views import View
from pipeline_src.embedding.embed import EvaluationWindows, require_same_frames
from pipeline_src.networks.encoder import Encoder, Features
from pipeline_src.networks.encoder_file import EncoderConfig
from pipeline_src.settings.learning import TrainingSettings
from pipeline_src.settings.transfer import FinetuneSettings
from pipeline_src.shards.index import Collection
from pipeline_src.training.schedule import build_optimiser, learning_rate, set_learning_rate
from pipeline_src.transfer.split import LabelledVectors, Prediction


class LabelledNetwork(nn.Module):
    """An encoder with a linear classifier."""

    def __init__(self, encoder: Encoder, embedding_size: int, classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.classifier = nn.Linear(embedding_size, classes)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, T, H, W) to logits (N, classes)."""
        return self.classifier(Features(self.encoder(x)).embedding)


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

    Args:
        encoder, config: where training starts.
        collection: the clips.
        data, clips: one split of it, in the same order.
        settings: of the optimiser; nothing is chosen on the validation part, so it is trained on too.
        windows: windows of a test clip whose class probabilities are averaged.
        seed: of the classifier and of the order of clips.
        device: where to compute.

    Returns:
        None when the training diverged.

    Raises:
        UserError: the encoder was trained with other frames than the collection has.
    """
    require_same_frames(config, collection)
    torch.manual_seed(seed)
    training = data.pick("train", "validation")
    classes = np.unique(data.labels[training])
    places = pd.Series(range(len(collection.clips)), index=collection.clips["clip_id"])
    rows = places[clips["clip_id"]].to_numpy()
    targets = torch.full((len(collection.clips),), -1)
    targets[rows[training]] = torch.as_tensor(np.searchsorted(classes, data.labels[training]))
    network = LabelledNetwork(encoder, config.embedding_size, len(classes)).to(device)
    statistics = {"rgb": (list(config.mean), list(config.std))}
    train_windows = TrainingWindows(collection, config.window, (View("rgb"),), seed, rows[training])
    batches = training_batches(train_windows, settings.batch_size, seed, 0, settings.iterations, 0, pinned=False)
    last = _train(network, batches, targets.to(device), statistics, settings, device)
    test = EvaluationWindows(collection, config.window, rows[data.pick("test")], windows)
    loader: DataLoader[np.ndarray] = DataLoader(test, batch_size=2 * settings.batch_size)
    network.eval()
    with torch.inference_mode():
        parts = [network(normalise(stored.to(device), "rgb", statistics)).softmax(1).cpu() for stored in loader]
    probabilities = torch.cat(parts).reshape(-1, windows, len(classes)).mean(1)
    if not math.isfinite(last) or not torch.isfinite(probabilities).all():
        return None
    predicted = probabilities.argmax(1).numpy()
    return Prediction(classes[predicted], int(training.sum()), {"final_loss": round(last, 4), "windows": windows})


def _train(
    network: LabelledNetwork,
    batches: DataLoader[Any],
    targets: Tensor,
    statistics: dict[str, tuple[list[float], list[float]]],
    settings: FinetuneSettings,
    device: torch.device,
) -> float:
    """Minimise the cross-entropy; the last tenth's mean loss."""
    optimiser = build_optimiser(
        network, TrainingSettings(learning_rate=settings.learning_rate, weight_decay=settings.weight_decay)
    )
    network.train()
    losses = []
    for step, batch in enumerate(tqdm(batches, unit="step", mininterval=5, file=sys.stderr)):
        set_learning_rate(optimiser, learning_rate(step, settings.iterations, settings.learning_rate, 0.1))
        logits = network(normalise(batch["rgb.now"].to(device), "rgb", statistics))
        loss = functional.cross_entropy(logits, targets[batch["clip"].to(device)])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        losses.append(loss.detach())
    return float(torch.stack(losses[-max(1, len(losses) // 10) :]).mean())
