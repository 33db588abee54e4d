"""What a step of the optimiser does."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline_src.errors import UserError
from pipeline_src.loss.engine import EvolvedLoss
from pipeline_src.settings.learning import NetworkSettings, TrainingSettings, WindowSettings
from pipeline_src.shards.index import Collection
from pipeline_src.training import loop
from pipeline_src.training.checkpoint import Checkpoint
from pipeline_src.training.curves import Curves
from pipeline_src.training.device import arithmetic
from pipeline_src.training.lars import Lars
from pipeline_src.training.loop import Course, state_of, train
from pipeline_src.training.pretrain import PretrainSettings, build_loss, pool_batches
from pipeline_src.training.schedule import build_optimiser
from tests.unit.small_loss import small_loss


def settings(**training: Any) -> PretrainSettings:
    return PretrainSettings(
        loss=small_loss("rgb.reconstruct", "rgb.moco"),
        network=NetworkSettings(video="small_r3d", width=4, decoder_width=4),
        window=WindowSettings(frames=5, crop=16, future_frames=2),
        fit="crop",
        training=TrainingSettings(**{"batch_size": 4, "device": "cpu", **training}),
        torch_threads=1,
    )


def run(courses: list[Course], batches_from: Any, used: PretrainSettings, folder: Path) -> None:
    train(courses, batches_from, used.training, Checkpoint(folder / "r.pt", "x"), torch.device("cpu"))


def test_lars_scales_each_tensor_s_step_by_its_norm() -> None:
    random = np.random.default_rng(0)
    start = {"matrix": random.normal(size=(3, 4)), "bias": random.normal(size=3)}
    tensors = {name: torch.nn.Parameter(torch.tensor(value)) for name, value in start.items()}
    groups = [{"params": [tensors["matrix"]], "weight_decay": 0.1}, {"params": [tensors["bias"]], "weight_decay": 0.0}]
    optimiser = Lars(groups, lr=0.5, momentum=0.9, trust=0.02)
    wanted = dict(start)
    velocity = {name: np.zeros_like(value) for name, value in start.items()}
    for _ in range(3):
        for name, tensor in tensors.items():
            gradient = random.normal(size=start[name].shape)
            tensor.grad = torch.tensor(gradient)
            if name == "matrix":
                gradient = gradient + 0.1 * wanted[name]
                gradient *= 0.02 * np.linalg.norm(wanted[name]) / np.linalg.norm(gradient)
            velocity[name] = 0.9 * velocity[name] + 0.5 * gradient
            wanted[name] = wanted[name] - velocity[name]
        optimiser.step()
    for name, tensor in tensors.items():
        np.testing.assert_allclose(tensor.detach().numpy(), wanted[name], rtol=1e-12)


def test_lars_steps_where_a_tensor_or_its_gradient_is_zero() -> None:
    weight = torch.nn.Parameter(torch.zeros(2, 2))
    optimiser = Lars([weight], lr=0.1)
    weight.grad = torch.ones(2, 2)
    optimiser.step()
    assert torch.isfinite(weight).all()
    assert (weight < 0).all()


def test_momentum_encoders_are_never_stepped(long_pool: Collection) -> None:
    loss = build_loss(settings(), long_pool, {"rgb.moco": 1.0}, {}, 0)
    stepped = {id(p) for group in build_optimiser(loss, TrainingSettings()).param_groups for p in group["params"]}
    assert stepped == {id(p) for p in loss.parameters() if p.requires_grad}
    assert stepped.isdisjoint({id(p) for p in loss.followers.parameters()})


def test_accumulated_batches_make_one_step_down_their_mean_gradient(long_pool: Collection, tmp_path: Path) -> None:
    used = settings(iterations=1, accumulate=3, optimiser="sgd", momentum=0, weight_decay=0, learning_rate=1, warmup=0)
    used = used.model_copy(update={"training": used.training.model_copy(update={"clip_gradient": 1e9})})
    weights = {"rgb.reconstruct": 1.0}
    loss, other = (build_loss(used, long_pool, weights, {}, 0).train() for _ in range(2))
    batches = list(pool_batches(used, long_pool, loss.views, 0, 0, 3, False))
    gradients: dict[str, torch.Tensor] = {}
    for number, batch in enumerate(batches):
        other.zero_grad()
        other(batch, number).total.backward()
        for name, parameter in other.named_parameters():
            if parameter.grad is not None:
                gradients[name] = gradients.get(name, torch.tensor(0.0)) + parameter.grad / 3
    before = {name: parameter.clone() for name, parameter in loss.named_parameters()}
    run([Course(loss, used.training)], lambda first: iter(batches), used, tmp_path)
    for name, parameter in loss.named_parameters():
        if name in gradients:
            torch.testing.assert_close(parameter, before[name] - gradients[name], rtol=1e-4, atol=1e-6)


def test_an_interrupted_training_with_accumulation_resumes_at_the_right_batch(
    long_pool: Collection, tmp_path: Path
) -> None:
    used = settings(iterations=3, accumulate=2)
    loss = build_loss(used, long_pool, {"rgb.reconstruct": 1.0}, {}, 0)
    Checkpoint(tmp_path / "r.pt", "x").save(state_of([Course(loss, used.training)], 2))
    asked = []

    def batches_from(first: int) -> Iterator[Any]:
        asked.append(first)
        return iter(pool_batches(used, long_pool, loss.views, 0, first, 6, False))

    run([Course(loss, used.training)], batches_from, used, tmp_path)
    assert asked == [4]


def test_curves_can_be_read_back(long_pool: Collection, tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    used = settings(iterations=3)
    loss = build_loss(used, long_pool, {"rgb.reconstruct": 0.5}, {}, 0)

    def batches_from(first: int) -> Iterator[Any]:
        return iter(pool_batches(used, long_pool, loss.views, 0, first, 3, False))

    # Left by a training that was killed after its checkpoint: what comes again must not be there twice.
    Curves(tmp_path / "curves", 1).add({"iteration": 2, "total": 9.0, "learning_rate": 1.0, "terms": {}})
    course = Course(loss, used.training, tmp_path / "curves")
    run([course], batches_from, used, tmp_path)
    events = accumulator.EventAccumulator(str(tmp_path / "curves"))
    events.Reload()
    raw = [(event.step, event.value) for event in events.Scalars("raw/rgb.reconstruct")]
    assert [event.step for event in events.Scalars("total")] == [1, 2, 3]
    assert raw == [
        (line["iteration"], pytest.approx(line["terms"]["rgb.reconstruct"]["raw"])) for line in course.metrics
    ]


def test_without_tensorboard_the_setting_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UserError, match="pip install tensorboard"):
        Curves(tmp_path, 1)


@pytest.mark.parametrize(
    ("setting", "tolerance"),
    [
        ("autocast", 0.02),
        ("channels_last", 0.01),
        pytest.param(
            "compile",
            0.01,
            marks=[
                pytest.mark.slow,
                pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler on a CPU"),
            ],
        ),
    ],
)
def test_what_makes_training_faster_changes_rounding_only(
    long_pool: Collection, tmp_path: Path, setting: str, tolerance: float
) -> None:
    weights = {"rgb.reconstruct": 1.0, "rgb.moco": 0.5}
    if setting == "autocast":
        # Divided by its temperature, the rounding of cosines is another loss of four clips; see test_contrast_terms.
        del weights["rgb.moco"]

    def trained(**more: bool) -> list[dict[str, Any]]:
        used = settings(iterations=3, **more)
        loss: EvolvedLoss = build_loss(used, long_pool, weights, {}, 0)
        if more.get("compile"):
            loss.compile_encoders()

        def batches_from(first: int) -> Iterator[Any]:
            return iter(pool_batches(used, long_pool, loss.views, 0, first, 3, False))

        course = Course(loss, used.training)
        run([course], batches_from, used, tmp_path)
        return course.metrics

    plain = trained()[-1]["total"]
    assert trained(**{setting: True})[-1]["total"] == pytest.approx(plain, rel=tolerance)


def test_bfloat16_gradients_of_two_frames_are_those_of_float32_rounded() -> None:
    """oneDNN leaves memory unfilled there."""
    convolution = torch.nn.Conv3d(32, 8, 3, padding=1, bias=False)
    x = torch.randn(4, 32, 2, 4, 4)
    gradients = []
    for autocast in (False, True):
        for _ in range(20):
            with arithmetic(torch.device("cpu"), autocast):
                convolution.zero_grad()
                convolution(x).float().square().mean().backward()
                gradients.append(torch.clone(convolution.weight.grad))  # type: ignore[arg-type]
    for gradient in gradients[1:]:
        torch.testing.assert_close(gradient, gradients[0], rtol=0.05, atol=0.01 * gradients[0].abs().max().item())


def test_a_step_counts_whichever_of_its_batches_had_something_to_learn_from(
    long_pool: Collection, tmp_path: Path
) -> None:
    """Its first batch may be all silence."""
    used = settings(iterations=1, accumulate=2, optimiser="sgd", learning_rate=0.1, warmup=0)
    used = used.model_copy(update={"loss": small_loss("audio.reconstruct")})
    loss = build_loss(used, long_pool, {"audio.reconstruct": 1.0}, {}, 0)
    first, second = pool_batches(used, long_pool, loss.views, 0, 0, 2, False)
    silent = {**first, "has_sound": torch.zeros_like(first["has_sound"])}
    before = [parameter.clone() for parameter in loss.encoders["audio"].parameters()]
    run([Course(loss, used.training)], lambda start: iter([silent, second]), used, tmp_path)
    after = loss.encoders["audio"].parameters()
    assert any(not torch.equal(old, new) for old, new in zip(before, after, strict=True))


def test_batches_of_a_step_are_read_one_after_the_other(
    long_pool: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who accumulates for lack of memory has none for all batches of a step at once."""
    used = settings(iterations=2, accumulate=3)
    losses = [build_loss(used, long_pool, {"rgb.reconstruct": weight}, {}, 0) for weight in (1.0, 0.5)]
    done: list[str] = []
    backward = loop.backward

    def told(*given: Any) -> Any:
        done.append("backward")
        return backward(*given)

    def batches_from(first: int) -> Iterator[Any]:
        for batch in pool_batches(used, long_pool, losses[0].views, 0, first, 6, False):
            done.append("read")
            yield batch

    monkeypatch.setattr(loop, "backward", told)
    run([Course(loss, used.training) for loss in losses], batches_from, used, tmp_path)
    assert done == ["read", "backward", "backward"] * 6


@pytest.mark.parametrize(("accumulate", "faulty"), [(1, 0), (2, 0), (2, 1)])
def test_a_gradient_that_is_not_finite_names_its_term_and_never_becomes_a_model(
    long_pool: Collection, tmp_path: Path, accumulate: int, faulty: int
) -> None:
    """Even in the last step, and though every value is finite; whichever batch of the step it was."""
    used = settings(iterations=1, accumulate=accumulate)
    loss = build_loss(used, long_pool, {"rgb.reconstruct": 1.0, "rgb.moco": 1.0}, {}, 0)
    term = loss.terms["rgb.moco"]
    finite = term.forward

    def broken(inputs: Any) -> torch.Tensor:
        value = finite(inputs)
        assert value is not None
        if inputs.seed[1] != faulty:
            return value
        # The root's slope at 0 is infinite, and 0 times that is no number.
        return value + torch.sqrt(value * 0)

    term.forward = broken  # type: ignore[method-assign]

    def batches_from(first: int) -> Iterator[Any]:
        return iter(pool_batches(used, long_pool, loss.views, 0, first, accumulate, False))

    course = Course(loss, used.training)
    run([course], batches_from, used, tmp_path)
    assert course.failure.startswith("gradient of rgb.moco is not finite at iteration 0")
