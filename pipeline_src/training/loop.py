"""The training loop."""

import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from pipeline_src.batches.loader import Batch
from pipeline_src.errors import DiskFullError
from pipeline_src.loss.engine import EvolvedLoss, Losses
from pipeline_src.settings.learning import TrainingSettings
from pipeline_src.training.checkpoint import Checkpoint
from pipeline_src.training.schedule import build_optimiser, learning_rate, set_learning_rate
from pipeline_src.training.signals import StopRequest

LOGGED_STEPS = 50


class Diverged(Exception):
    """The loss became NaN or infinite; the message names the term and the step."""


def train(
    loss: EvolvedLoss,
    batches_from: Callable[[int], Iterable[Batch]],
    settings: TrainingSettings,
    checkpoint: Checkpoint,
    device: torch.device,
) -> list[dict[str, Any]]:
    """Minimise the loss, resuming where an earlier attempt stopped.

    Args:
        loss: on the device.
        batches_from: gives the batches from a step on, to the last.
        settings: of the optimiser and its schedule.
        checkpoint: where the state is kept; removed by the caller when its outputs stand.
        device: of the loss.

    Returns:
        The metrics of about LOGGED_STEPS evenly spaced steps.

    Raises:
        Diverged: the loss is no longer finite.
        SystemExit: a signal asked to stop; the state is saved.
    """
    optimiser = build_optimiser(loss, settings)
    metrics: list[dict[str, Any]] = []
    first = 0
    saved = checkpoint.load()
    if saved is not None:
        loss.load_state_dict(saved["loss"])
        optimiser.load_state_dict(saved["optimiser"])
        first, metrics = saved["step"], saved["metrics"]
        print(f"resuming at iteration {first} of {settings.iterations}", file=sys.stderr)

    def save(step: int) -> None:
        state = {"loss": loss.state_dict(), "optimiser": optimiser.state_dict(), "step": step, "metrics": metrics}
        checkpoint.save(state)

    loss.train()
    every = max(1, settings.iterations // LOGGED_STEPS)
    saved_at = time.monotonic()
    with StopRequest() as stop:
        progress = tqdm(batches_from(first), total=settings.iterations, initial=first, unit="step", mininterval=5)
        for step, batch in enumerate(progress, first):
            rate = learning_rate(step, settings.iterations, settings.learning_rate, settings.warmup)
            set_learning_rate(optimiser, rate)
            batch = {name: tensor.to(device, non_blocking=True) for name, tensor in batch.items()}
            with torch.autocast(device.type, torch.bfloat16, enabled=settings.autocast):
                losses = loss(batch, step)
            require_finite(losses, step)
            if losses.total.requires_grad:
                optimise(loss, optimiser, losses.total, settings.clip_gradient)
            if step % every == 0 or step == settings.iterations - 1:
                metrics.append(measured(loss, losses, step, rate))
            if stop.signal_number is not None:
                save(step + 1)
                print(f"signal {stop.signal_number}: saved at iteration {step + 1}", file=sys.stderr)
                sys.exit(128 + stop.signal_number)
            if time.monotonic() - saved_at > settings.checkpoint_every_s:
                try:
                    save(step + 1)
                except DiskFullError as error:  # Training goes on; only its resume point is older.
                    print(f"warning: {error}", file=sys.stderr)
                saved_at = time.monotonic()
    return metrics


def optimise(module: nn.Module, optimiser: torch.optim.Optimizer, total: Tensor, clip_gradient: float) -> None:
    """One step down the gradient, its norm limited."""
    optimiser.zero_grad(set_to_none=True)
    total.backward()
    torch.nn.utils.clip_grad_norm_(module.parameters(), clip_gradient)
    optimiser.step()


def require_finite(losses: Losses, step: int) -> None:
    """Raise Diverged naming the terms that are NaN or infinite."""
    if torch.isfinite(losses.total):
        return
    broken = [name for name, value in losses.raw.items() if not torch.isfinite(value)]
    raise Diverged(f"loss of {', '.join(broken) or 'the weighted sum'} is not finite at iteration {step}")


def measured(loss: EvolvedLoss, losses: Losses, step: int, rate: float) -> dict[str, Any]:
    """A line of metrics.jsonl."""
    terms = {}
    for name, value in losses.raw.items():
        raw = float(value.detach())
        terms[name] = {"raw": raw, "scaled": loss.factors[name] * raw, "weight": loss.weights[name]}
    return {"iteration": step + 1, "total": float(losses.total.detach()), "learning_rate": rate, "terms": terms}
