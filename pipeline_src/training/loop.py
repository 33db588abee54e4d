"""The training loop."""

import itertools
import json
import signal
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from pipeline_src.batches.loader import Batch
from pipeline_src.errors import DiskFullError
from pipeline_src.files import whole_file
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
        metrics: of the logged steps; while it runs also lines of the file `running_path`, where one is given.
        failure: why the loss is no longer finite, with the term and the step; empty while it is.
    """

    def __init__(
        self,
        loss: EvolvedLoss,
        settings: TrainingSettings,
        curves_folder: Path | None = None,
        running_path: Path | None = None,
    ) -> None:
        self.loss = loss.train()
        self.metrics: list[dict[str, Any]] = []
        self.failure = ""
        self._optimiser = build_optimiser(loss, settings)
        self._settings = settings
        self._seen: set[str] = set()
        self._parts: list[Losses] = []
        self._last: tuple[Batch | PreparedBatch, int] | None = None
        self._curves_folder = curves_folder if process() == 0 else None
        self._running_path = running_path if process() == 0 else None
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

    def add(self, step: int, part: int, batch: Batch | PreparedBatch) -> None:
        """Add the gradient of a step's batch of that number, or note why there can be none."""
        if part == 0:
            self._parts = []
            self._optimiser.zero_grad(set_to_none=True)
        if self.failure:
            return
        try:
            self._parts.append(backward(self.loss, batch, part, step, self._settings))
            # Of a single batch the step's own norm tells.
            if self._settings.accumulate > 1:
                require_finite_gradient(gradient_norm(self.loss), self.loss, batch, part, step, self._settings)
        except Diverged as error:
            self.failure = str(error)
        self._last = (batch, part)

    def end_step(self, step: int, logged: bool) -> None:
        """Take the optimiser's step on what was added."""
        if not self.failure:
            try:
                self._end_step(step, logged)
            except Diverged as error:
                self.failure = str(error)
        self._last = None

    def silent(self) -> list[str]:
        """Terms that no batch had anything for."""
        return [] if self.failure else sorted(set(self.loss.weights) - self._seen)

    def _end_step(self, step: int, logged: bool) -> None:
        settings, parts = self._settings, self._parts
        rate = learning_rate(step, settings.iterations, settings.learning_rate, settings.warmup)
        set_learning_rate(self._optimiser, rate)
        self._seen.update(*(part.raw for part in parts))
        if self._last is not None and any(part.total.requires_grad for part in parts):
            average_gradients(self.loss)
            norm = torch.nn.utils.clip_grad_norm_(self.loss.parameters(), settings.clip_gradient)
            require_finite_gradient(norm, self.loss, *self._last, step, settings)
            self._optimiser.step()
        self.loss.follow(step / settings.iterations)
        if logged:
            self._log(measured(self.loss, parts, step, rate))

    def _log(self, line: dict[str, Any]) -> None:
        self.metrics.append(line)
        if self._curves is not None:
            self._curves.add(line)
        if self._running_path is not None:
            try:
                write_lines(self._running_path, self.metrics)
            except DiskFullError as error:  # Training goes on; its metrics are still in memory.
                tell(f"warning: {error}")


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
            # One batch at a time, whatever a step accumulates: more would not fit a device that accumulates for memory.
            for part, batch in enumerate(itertools.islice(batches, settings.accumulate)):
                ready = prepared(running, batch, device, step * settings.accumulate + part)
                for course in running:
                    course.add(step, part, ready)
            logged = step % every == 0 or step == settings.iterations - 1
            for course in running:
                course.end_step(step, logged)
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
        lacking = "no batch had clips for them (sound, or length for their windows and speeds)"
        tell(f"warning: {', '.join(silent)}: {lacking}")


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
    loss: EvolvedLoss, batch: Batch | PreparedBatch, part: int, step: int, settings: TrainingSettings
) -> Losses:
    """Add the gradient of one batch, its share of a step's.

    Args:
        loss: the networks.
        batch: on their device.
        part: number of the batch within the step.
        step: of the optimiser.
        settings: of the training.

    Raises:
        Diverged: the loss is not finite.
    """
    number = step * settings.accumulate + part
    with arithmetic(next(loss.parameters()).device, settings.autocast):
        inputs = loss.inputs(batch, number, step / settings.iterations)
        losses = loss.weigh(inputs)
        require_finite(losses, step)
        if losses.total.requires_grad:
            (losses.total / settings.accumulate).backward()
        loss.remember(inputs)
    return losses


def gradient_norm(loss: EvolvedLoss) -> Tensor:
    """Norm of all gradients so far, in this process."""
    return torch.nn.utils.get_total_norm([p.grad for p in loss.parameters() if p.grad is not None])


def require_finite(losses: Losses, step: int) -> None:
    """Raise Diverged naming the terms that are NaN or infinite, in whichever process."""
    broken = any_process(not torch.isfinite(losses.total).item(), losses.total.device)
    if not broken:
        return
    names = [name for name, value in losses.raw.items() if any_process(not torch.isfinite(value).item(), value.device)]
    raise Diverged(f"loss of {', '.join(names) or 'the weighted sum'} is not finite at iteration {step}")


def require_finite_gradient(
    norm: Tensor, loss: EvolvedLoss, batch: Batch | PreparedBatch, part: int, step: int, settings: TrainingSettings
) -> None:
    """Raise Diverged where the norm is NaN or infinite, naming the terms whose gradients on the batch are.

    Args:
        norm: of the gradient with that of the batch.
        loss, batch, part, step, settings: as for `backward`.
    """
    if not any_process(not torch.isfinite(norm).item(), norm.device):
        return
    parameters = [parameter for parameter in loss.parameters() if parameter.requires_grad]
    names = []
    with arithmetic(parameters[0].device, settings.autocast):
        inputs = loss.inputs(batch, step * settings.accumulate + part, step / settings.iterations)
        for name, value in loss.weigh(inputs).raw.items():
            found = torch.autograd.grad(value, parameters, retain_graph=True, allow_unused=True)
            broken = any(not torch.isfinite(gradient).all() for gradient in found if gradient is not None)
            if any_process(broken, value.device):
                names.append(name)
    raise Diverged(f"gradient of {', '.join(names) or 'the weighted sum'} is not finite at iteration {step}")


def write_lines(path: Path, lines: Sequence[dict[str, Any]]) -> None:
    """Write lines of JSON, all of them anew: they are few."""
    with whole_file(path) as part:
        part.write_text("".join(json.dumps(line, sort_keys=True) + "\n" for line in lines))


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
