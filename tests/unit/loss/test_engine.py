"""The weighted sum: independent terms, each encoder once a step, weight 0 for nothing."""

from unittest.mock import patch

import pytest
import torch

from pipeline_src.batches.loader import TrainingWindows, collate
from pipeline_src.batches.normalise import statistics_of
from pipeline_src.batches.views import View
from pipeline_src.errors import UserError
from pipeline_src.loss.calibrate import gradient_norms, scales
from pipeline_src.loss.engine import EvolvedLoss
from pipeline_src.networks.encoder import Encoder
from pipeline_src.settings import catalogue
from pipeline_src.settings.learning import LossSettings, NetworkSettings, WindowSettings
from pipeline_src.shards.index import Collection

WINDOW = WindowSettings(frames=4, crop=16, future_frames=2)
NETWORK = NetworkSettings(video="small_r3d", width=4, decoder_width=4)
ALL = dict.fromkeys(sorted(catalogue.terms()), 1.0)


def build(pool: Collection, weights: dict[str, float], scale: dict[str, float] | None = None) -> EvolvedLoss:
    return EvolvedLoss(
        weights=weights,
        scales=scale or {},
        loss=LossSettings.model_validate({}),
        network=NETWORK,
        window=WINDOW,
        statistics=statistics_of(pool, ["rgb", "flow", "grey", "audio"]),
        spectrogram=(20, 8),
        seed=5,
    ).train()


def batch(pool: Collection, step: int = 0, clips: tuple[int, ...] = (0, 1, 2, 4, 5, 6)) -> dict[str, torch.Tensor]:
    views = tuple(View(m, t) for m in ("rgb", "flow", "grey", "audio") for t in ("plain", "next", "shifted"))
    windows = TrainingWindows(pool, WINDOW, views, seed=5)
    return collate([windows[(step, position, clip)] for position, clip in enumerate(clips)])


def own_batch(pool: Collection, loss: EvolvedLoss, step: int) -> dict[str, torch.Tensor]:
    """The batch that a training of this loss would read: for its own views only."""
    windows = TrainingWindows(pool, WINDOW, loss.views, seed=5)
    return collate([windows[(step, position, clip)] for position, clip in enumerate((0, 1, 2, 4, 5, 6))])


def test_a_tiny_weight_leaves_all_other_terms_as_they_are(pool: Collection) -> None:
    """Else the search could not tell what a weight does."""
    some = {name: 0.5 for name in ALL if name.startswith(("rgb.s", "audio~rgb", "distill.flow"))}
    more = {**dict.fromkeys(ALL, 1e-6), **some}
    for step in range(3):
        few, many = (loss(own_batch(pool, loss, step), step) for loss in (build(pool, some), build(pool, more)))
        assert few.raw.keys() == some.keys()
        for name, value in few.raw.items():
            assert many.raw[name].item() == pytest.approx(value.item(), rel=1e-5, abs=1e-6), name
        assert many.total.item() == pytest.approx(few.total.item(), rel=1e-4)


def test_the_order_of_weights_changes_nothing(pool: Collection) -> None:
    given = batch(pool)
    there = build(pool, ALL)(given, 0).total
    back = build(pool, dict(reversed(ALL.items())))(given, 0).total
    assert torch.equal(there, back)


def test_weight_zero_builds_nothing(pool: Collection) -> None:
    loss = build(pool, {**dict.fromkeys(ALL, 0.0), "rgb.shuffle": 1.0})
    assert list(loss.encoders) == ["rgb"]
    assert list(loss.terms) == ["rgb.shuffle"]
    assert loss.views == (View("rgb"), View("rgb", "shuffled"))


def test_without_any_weight_only_the_rgb_encoder_is_there(pool: Collection) -> None:
    loss = build(pool, {})
    assert list(loss.encoders) == ["rgb"]
    losses = loss(batch(pool), 0)
    assert losses.total.item() == 0
    assert not losses.total.requires_grad


def test_each_encoder_runs_once_a_step_on_all_its_views(pool: Collection) -> None:
    loss = build(pool, ALL)
    calls: list[tuple[int, ...]] = []
    forward = Encoder.forward

    def counted(self: Encoder, x: torch.Tensor, sizes: tuple[int, ...] = ()) -> object:
        calls.append(sizes)
        return forward(self, x, sizes)

    with patch.object(Encoder, "forward", counted):
        loss(batch(pool), 0)
    assert len(calls) == 4
    # audio: plain and shifted of the four clips with sound; flow has four views, grey and rgb three.
    assert sorted(calls) == sorted([(4, 4), (6, 6, 6, 6), (6, 6, 6), (6, 6, 6)])


def test_a_second_term_on_the_same_views_costs_no_second_pass(pool: Collection) -> None:
    one = build(pool, {"rgb.reconstruct": 1.0})
    three = build(pool, {"rgb.reconstruct": 1.0, "rgb.future": 1.0, "rgb>flow.translate": 1.0})
    assert one.encoded == three.encoded == (View("rgb"),)


def test_the_total_gradient_is_the_weighted_sum_of_the_terms_gradients(pool: Collection) -> None:
    weights = {"rgb.shuffle": 0.3, "rgb>flow.translate": 0.8, "distill.grey.layer2": 0.5, "audio~rgb.embed": 0.1}
    scale = {"rgb.shuffle": 2.0, "audio~rgb.embed": 30.0}
    given = batch(pool)

    def gradient(used: dict[str, float]) -> torch.Tensor:
        loss = build(pool, {**used}, scale)
        loss(given, 0).total.backward()
        parameter = loss.encoders["rgb"].parts["layer2"].conv1.weight  # type: ignore[index,union-attr]
        return parameter.grad  # type: ignore[return-value]

    total = gradient(weights)
    parts = torch.stack([gradient({name: weight}) for name, weight in weights.items()]).sum(0)
    torch.testing.assert_close(total, parts, rtol=1e-4, atol=1e-6)


def test_clips_without_sound_never_reach_the_audio_encoder(pool: Collection) -> None:
    loss = build(pool, {"audio~rgb.embed": 1.0})
    inputs = loss.inputs(batch(pool, clips=(0, 2, 5, 6)), 0)
    assert inputs.features[View("audio")].rows.tolist() == [0, 3]  # type: ignore[union-attr]
    assert len(inputs.features[View("audio")].embedding) == 2


@pytest.mark.parametrize("clips", [(2, 5, 2), (0, 2, 5)])
def test_a_batch_with_fewer_than_two_sounds_trains_without_audio(pool: Collection, clips: tuple[int, ...]) -> None:
    loss = build(pool, {"audio~rgb.embed": 1.0, "distill.audio.layer1": 1.0, "rgb.shuffle": 1.0})
    before = {name: tensor.clone() for name, tensor in loss.encoders["audio"].state_dict().items()}
    losses = loss(batch(pool, clips=clips), 0)
    assert list(losses.raw) == ["rgb.shuffle"]
    losses.total.backward()
    assert loss.encoders["audio"].training
    assert all(torch.equal(tensor, before[name]) for name, tensor in loss.encoders["audio"].state_dict().items())


def test_calibration_makes_gradients_equally_long(pool: Collection) -> None:
    loss = build(pool, ALL)
    before = {name: tensor.clone() for name, tensor in loss.named_parameters()}
    norms = gradient_norms(loss, (batch(pool, step) for step in range(3)))
    found = scales(norms)
    assert found.keys() == ALL.keys()
    for name, values in norms.items():
        assert found[name]["scale"] * sorted(values)[1] == pytest.approx(1)
    assert all(torch.equal(tensor, before[name]) for name, tensor in loss.named_parameters())


def test_calibration_measures_the_gradient_at_the_activations(pool: Collection) -> None:
    loss = build(pool, {"grey.reconstruct": 1.0})
    given = batch(pool)
    measured = gradient_norms(loss, [given])["grey.reconstruct"][0]
    inputs = loss.inputs(given, 0)
    layer = inputs.features[View("grey")].layers[3]
    (gradient,) = torch.autograd.grad(loss.terms["grey.reconstruct"](inputs), layer)
    assert measured == pytest.approx(gradient.norm().item(), rel=1e-3)


def test_a_term_that_cannot_be_calibrated_is_named() -> None:
    with pytest.raises(UserError, match=r"loss.terms: audio~rgb.align - .*audio terms need clips with sound"):
        scales({"audio~rgb.align": []})
    with pytest.raises(UserError, match=r"rgb.shuffle - .* it is 0"):
        scales({"rgb.shuffle": [0.0, 0.0, 1.0]})
