"""The training loop."""

import itertools
import signal
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from pipeline_src.batches.loader import Batch
from pipeline_src.errors import DiskFullError
from pipeline_src.loss.engine import EvolvedLoss, Losses
from pipeline_src.loss.prepared import PreparedBatch
from pipeline_src.networks.parallel import any_process, average, average_gradients, process
from pipeline_src.settings.learning import TrainingSettings
from pipeline_src.training.checkpoint import Checkpoint
from pipeline_src.training.curves import Curves
from pipeline_src.training.device import arithmetic
from pipeline_src.training.schedule import build_optimiser, learning_rate, set_learning_rate
from pipeline_src.training.signals import StopRequest

LOGGED_STEPS = 50


class Diverged(Exception):
    """The loss became NaN or infinite; the message names the term and the step."""


class Course:
    """One loss's way through a training.

    Attributes:
        loss: the networks.
        metrics: of the logged steps.
        failure: why the loss is no longer finite, with the term and the step; empty while it is.
    """

    def __init__(self, loss: EvolvedLoss, settings: TrainingSettings, curves_folder: Path | None = None) -> None:
        self.loss = loss.train()
        self.metrics: list[dict[str, Any]] = []
        self.failure = ""
        self._optimiser = build_optimiser(loss, settings)
        self._settings = settings
        self._seen: set[str] = set()
        self._curves_folder = curves_folder if process() == 0 else None
        self._curves: Curves | None = None

    def begin(self, first: int, state: dict[str, Any] | None) -> None:
        """Start before iteration `first`, from an earlier `state`."""
        if state is not None:
            self.failure, self.metrics, self._seen = state["failure"], state["metrics"], set(state["seen"])
            if not self.failure:
                self.loss.load_state_dict(state["loss"])
                self._optimiser.load_state_dict(state["optimiser"])
        if self._curves_folder is not None:
            self._curves = Curves(self._curves_folder, first + 1)

    def state(self) -> dict[str, Any]:
        """What `begin` goes on from; of a failed course the networks are not kept."""
        state = {"failure": self.failure, "metrics": self.metrics, "seen": sorted(self._seen)}
        if self.failure:
            return state
        return {**state, "loss": self.loss.state_dict(), "optimiser": self._optimiser.state_dict()}

    def step(self, step: int, batches: Sequence[Batch | PreparedBatch], logged: bool) -> None:
        """Take an optimiser's step on its batches, or note why there can be none."""
        try:
            self._step(step, batches, logged)
        except Diverged as error:
            self.failure = str(error)

    def silent(self) -> list[str]:
        """Terms that no batch had anything for."""
        return [] if self.failure else sorted(set(self.loss.weights) - self._seen)

    def _step(self, step: int, batches: Sequence[Batch | PreparedBatch], logged: bool) -> None:
        settings = self._settings
        rate = learning_rate(step, settings.iterations, settings.learning_rate, settings.warmup)
        set_learning_rate(self._optimiser, rate)
        self._optimiser.zero_grad(set_to_none=True)
        first = step * settings.accumulate
        parts = [backward(self.loss, batch, first + part, step, settings) for part, batch in enumerate(batches)]
        self._seen.update(*(part.raw for part in parts))
        if any(part.total.requires_grad for part in parts):
            average_gradients(self.loss)
            norm = torch.nn.utils.clip_grad_norm_(self.loss.parameters(), settings.clip_gradient)
            if not torch.isfinite(norm):
                raise Diverged(f"gradient of {broken_gradients(self.loss, batches[-1], step, settings)}")
            self._optimiser.step()
        self.loss.follow(step / settings.iterations)
        if logged:
            self.metrics.append(measured(self.loss, parts, step, rate))
            if self._curves is not None:
                self._curves.add(self.metrics[-1])


def train(
    courses: Sequence[Course],
    batches_from: Callable[[int], Iterable[Batch]],
    settings: TrainingSettings,
    checkpoint: Checkpoint,
    device: torch.device,
    *,
    until: int | None = None,
    start: dict[str, Any] | None = None,
) -> None:
    """Minimise losses on the same batches, resuming where an earlier attempt stopped.

    One that fails is left behind; one without terms stays as it is.

    Args:
        courses: the losses, on the device.
        batches_from: gives this process's batches from a number on, to the last; `accumulate` of them are a step.
        settings: of the optimiser and its schedule.
        checkpoint: where the state is kept; removed by the caller when its outputs stand.
        device: of the losses.
        until: the step to stop before; by default the last.
        start: the state to begin with where the checkpoint has none, from `state_of`.

    Raises:
        SystemExit: a signal asked to stop; the state is saved.
    """
    last = settings.iterations if until is None else until
    saved = checkpoint.load()
    if saved is not None:
        tell(f"resuming at iteration {saved['step']} of {last}")
    state = saved or start
    first = state["step"] if state is not None else 0
    for number, course in enumerate(courses):
        course.begin(first, state["courses"][number] if state is not None else None)
    every = max(1, settings.iterations // LOGGED_STEPS)
    saved_at = time.monotonic()
    batches = iter(batches_from(first * settings.accumulate))
    with StopRequest() as stop:
        progress = tqdm(
            range(first, last), total=last, initial=first, unit="step", mininterval=5, disable=process() > 0
        )
        for step in progress:
            running = [course for course in courses if course.loss.weights and not course.failure]
            if not running:
                break
            taken = itertools.islice(batches, settings.accumulate)
            numbers = itertools.count(step * settings.accumulate)
            parts = [prepared(running, batch, device, number) for number, batch in zip(numbers, taken, strict=False)]
            logged = step % every == 0 or step == settings.iterations - 1
            for course in running:
                course.step(step, parts, logged)
            if logged and running[0].metrics:
                progress.set_postfix(loss=f"{running[0].metrics[-1]['total']:.4g}", refresh=False)
            if any_process(stop.signal_number is not None, device):
                save(checkpoint, courses, step + 1)
                tell(f"signal {stop.signal_number or 'to another process'}: saved at iteration {step + 1}")
                sys.exit(128 + (stop.signal_number or signal.SIGTERM))
            if time.monotonic() - saved_at > settings.checkpoint_every_s:
                try:
                    save(checkpoint, courses, step + 1)
                except DiskFullError as error:  # Training goes on; only its resume point is older.
                    tell(f"warning: {error}")
                saved_at = time.monotonic()
    if silent := sorted({name for course in courses for name in course.silent()}):
        tell(f"warning: {', '.join(silent)}: no batch had clips for them (sound, or length for their speeds)")


def prepared(courses: Sequence[Course], batch: Batch, device: torch.device, number: int) -> Batch | PreparedBatch:
    """A batch on the device; its views are shared where several losses see them."""
    batch = {name: tensor.to(device, non_blocking=True) for name, tensor in batch.items()}
    return courses[0].loss.prepare(batch, number) if len(courses) > 1 else batch


def state_of(courses: Sequence[Course], step: int) -> dict[str, Any]:
    """The state after `step` steps, for `train` to go on from."""
    return {"step": step, "courses": [course.state() for course in courses]}


def save(checkpoint: Checkpoint, courses: Sequence[Course], step: int) -> None:
    """Keep the state, from one of the processes."""
    if process() == 0:
        checkpoint.save(state_of(courses, step))


def tell(line: str) -> None:
    """A line on stderr, from one of the processes."""
    if process() == 0:
        print(line, file=sys.stderr)


def backward(
    loss: EvolvedLoss, batch: Batch | PreparedBatch, number: int, step: int, settings: TrainingSettings
) -> Losses:
    """Add the gradient of one batch, its share of a step's.

    Args:
        loss: the networks.
        batch: on their device.
        number: of the batch, from the start of training.
        step: of the optimiser.
        settings: of the training.
    """
    with arithmetic(next(loss.parameters()).device, settings.autocast):
        inputs = loss.inputs(batch, number, step / settings.iterations)
        losses = loss.weigh(inputs)
        require_finite(losses, step)
        if losses.total.requires_grad:
            (losses.total / settings.accumulate).backward()
        loss.remember(inputs)
    return losses


def require_finite(losses: Losses, step: int) -> None:
    """Raise Diverged naming the terms that are NaN or infinite, in whichever process."""
    broken = any_process(not torch.isfinite(losses.total).item(), losses.total.device)
    if not broken:
        return
    names = [name for name, value in losses.raw.items() if any_process(not torch.isfinite(value).item(), value.device)]
    raise Diverged(f"loss of {', '.join(names) or 'the weighted sum'} is not finite at iteration {step}")


def broken_gradients(loss: EvolvedLoss, batch: Batch | PreparedBatch, step: int, settings: TrainingSettings) -> str:
    """The terms whose gradients on a step's last batch are NaN or infinite, as the end of a sentence."""
    parameters = [parameter for parameter in loss.parameters() if parameter.requires_grad]
    names = []
    with arithmetic(parameters[0].device, settings.autocast):
        number = step * settings.accumulate + settings.accumulate - 1
        inputs = loss.inputs(batch, number, step / settings.iterations)
        for name, value in loss.weigh(inputs).raw.items():
            found = torch.autograd.grad(value, parameters, retain_graph=True, allow_unused=True)
            broken = any(not torch.isfinite(gradient).all() for gradient in found if gradient is not None)
            if any_process(broken, value.device):
                names.append(name)
    return f"{', '.join(names) or 'the weighted sum'} is not finite at iteration {step}"


def measured(loss: EvolvedLoss, parts: list[Losses], step: int, rate: float) -> dict[str, Any]:
    """A line of metrics.jsonl: means over a step's batches and over processes."""
    names = sorted({name for part in parts for name in part.raw})
    values = []
    for name in names:
        found = [part.raw[name].detach().float() for part in parts if name in part.raw]
        values.append(torch.stack(found).mean())
    values.append(torch.stack([part.total.detach().float() for part in parts]).mean())
    average(values)
    numbers = torch.stack(values).tolist()
    terms = {}
    for name, raw in zip(names, numbers[:-1], strict=True):
        terms[name] = {"raw": raw, "scaled": loss.factors[name] * raw, "weight": loss.weights[name]}
    return {"iteration": step + 1, "total": numbers[-1], "learning_rate": rate, "terms": terms}
