"""The weighted sum: independent terms, each encoder once a step, weight 0 for nothing."""

from unittest.mock import patch

import pytest
import torch

from pipeline_src.batches.loader import TrainingWindows, collate
from pipeline_src.batches.normalise import statistics_of
from pipeline_src.batches.transforms import TRANSFORMS
from pipeline_src.batches.views import View
from pipeline_src.errors import UserError
from pipeline_src.loss.calibrate import gradient_norms, scales
from pipeline_src.loss.engine import EvolvedLoss
from pipeline_src.networks.encoder import Encoder
from pipeline_src.settings import catalogue
from pipeline_src.settings.learning import NetworkSettings, WindowSettings
from pipeline_src.shards.index import Collection
from tests.unit.small_loss import small_loss

WINDOW = WindowSettings(frames=5, crop=16, future_frames=2)
NETWORK = NetworkSettings(video="small_r3d", width=4, decoder_width=4)
ALL = dict.fromkeys(sorted(catalogue.terms()), 1.0)


def build(pool: Collection, weights: dict[str, float], scale: dict[str, float] | None = None) -> EvolvedLoss:
    return EvolvedLoss(
        weights=weights,
        scales=scale or {},
        loss=small_loss(),
        network=NETWORK,
        window=WINDOW,
        statistics=statistics_of(pool, ["rgb", "flow", "grey", "audio"]),
        spectrogram=(25, 8),
        seed=5,
    ).train()


def batch(pool: Collection, step: int = 0, clips: tuple[int, ...] = (0, 1, 2, 4, 5, 6)) -> dict[str, torch.Tensor]:
    views = tuple(View(m, t) for m in ("rgb", "flow", "grey", "audio") for t in ("plain", "next", "shifted"))
    moments = tuple(View(m, t) for m in ("rgb", "flow") for t in ("crop1", "crop2", "crop3"))
    only_rgb = tuple(View("rgb", t) for t in TRANSFORMS if t not in ("segments",))
    windows = TrainingWindows(pool, WINDOW, (*views, *moments, *only_rgb), seed=5)
    return collate([windows[(step, position, clip)] for position, clip in enumerate(clips)])


def own_batch(pool: Collection, loss: EvolvedLoss, step: int) -> dict[str, torch.Tensor]:
    """The batch that a training of this loss would read: for its own views only."""
    windows = TrainingWindows(pool, WINDOW, loss.views, seed=5)
    return collate([windows[(step, position, clip)] for position, clip in enumerate((0, 1, 2, 4, 5, 6))])


def in_double(given: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: x.double() if x.is_floating_point() else x for name, x in given.items()}


def test_a_tiny_weight_leaves_all_other_terms_as_they_are(long_pool: Collection) -> None:
    """Else the search could not tell what a weight does."""
    some = {name: 0.5 for name in ALL if name.startswith(("rgb.s", "audio~rgb", "distill.flow"))}
    more = {**dict.fromkeys(ALL, 1e-6), **some}
    for step in range(3):
        few, many = (
            loss(own_batch(long_pool, loss, step), step) for loss in (build(long_pool, some), build(long_pool, more))
        )
        assert few.raw.keys() == some.keys()
        for name, value in few.raw.items():
            assert many.raw[name].item() == pytest.approx(value.item(), rel=1e-5, abs=1e-6), name
        assert many.total.item() == pytest.approx(few.total.item(), rel=1e-4)


def test_the_order_of_weights_changes_nothing(long_pool: Collection) -> None:
    given = batch(long_pool)
    there = build(long_pool, ALL)(given, 0).total
    back = build(long_pool, dict(reversed(ALL.items())))(given, 0).total
    assert torch.equal(there, back)


def test_weight_zero_builds_nothing(long_pool: Collection) -> None:
    loss = build(long_pool, {**dict.fromkeys(ALL, 0.0), "rgb.shuffle": 1.0})
    assert list(loss.encoders) == ["rgb"]
    assert list(loss.terms) == ["rgb.shuffle"]
    assert loss.views == (View("rgb"), View("rgb", "shuffled"))


def test_without_any_weight_only_the_rgb_encoder_is_there(long_pool: Collection) -> None:
    loss = build(long_pool, {})
    assert list(loss.encoders) == ["rgb"]
    losses = loss(batch(long_pool), 0)
    assert losses.total.item() == 0
    assert not losses.total.requires_grad


def test_each_encoder_runs_once_a_step_on_all_its_views_of_a_shape(long_pool: Collection) -> None:
    loss = build(long_pool, {name: 1.0 for name in ALL if catalogue.group(catalogue.terms()[name]) == "elo"})
    calls: list[tuple[int, ...]] = []
    forward = Encoder.forward

    def counted(self: Encoder, x: torch.Tensor, sizes: tuple[int, ...] = (), plain: bool = True) -> object:
        calls.append(sizes)
        return forward(self, x, sizes, plain)

    with patch.object(Encoder, "forward", counted):
        loss(batch(long_pool), 0)
    assert len(loss.terms) == 48
    # Audio: plain, shuffled, reversed and shifted of the four clips with sound.
    assert sorted(calls) == sorted([(4, 4, 4, 4), (6, 6, 6, 6), (6, 6, 6, 6), (6, 6, 6)])


def test_views_of_other_shapes_take_a_pass_each_and_leave_running_statistics_alone(long_pool: Collection) -> None:
    loss = build(long_pool, {"rgb.shuffle_and_learn": 1.0, "rgb.jigsaw": 1.0, "rgb.reconstruct": 1.0})
    alone = build(long_pool, {"rgb.reconstruct": 1.0})
    for model in (loss, alone):
        model(batch(long_pool), 0)
    here, there = loss.encoders["rgb"].state_dict(), alone.encoders["rgb"].state_dict()
    assert all(torch.allclose(here[name], there[name], atol=1e-6) for name in here)


def test_keys_of_equal_momentum_share_an_encoder(long_pool: Collection) -> None:
    loss = build(long_pool, dict.fromkeys(("rgb.moco", "flow~rgb.coclr", "rgb.rho_moco", "flow.moco"), 1.0))
    assert sorted(loss.followers) == ["flow_0999", "rgb_0994_rising", "rgb_0999"]
    assert not any(parameter.requires_grad for parameter in loss.followers.parameters())


def test_momentum_encoders_follow_the_encoder(long_pool: Collection) -> None:
    loss = build(long_pool, {"rgb.rho_moco": 1.0})
    follower, encoder = loss.followers["rgb_0994_rising"], loss.encoders["rgb"]
    before = [parameter.clone() for parameter in follower.parameters()]
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter += 1
    loss.follow(0.5)
    keep = 1 - (1 - 0.994) * 0.5
    for old, new, ahead in zip(before, follower.parameters(), encoder.parameters(), strict=True):
        torch.testing.assert_close(new, keep * old + (1 - keep) * ahead)


def test_a_second_term_on_the_same_views_costs_no_second_pass(long_pool: Collection) -> None:
    one = build(long_pool, {"rgb.reconstruct": 1.0})
    three = build(long_pool, {"rgb.reconstruct": 1.0, "rgb.future": 1.0, "rgb>flow.translate": 1.0})
    assert one.encoded == three.encoded == (View("rgb"),)


def test_the_total_gradient_is_the_weighted_sum_of_the_terms_gradients(long_pool: Collection) -> None:
    weights = {name: 0.2 + 0.7 * number / len(ALL) for number, name in enumerate(ALL)}
    scale = {"rgb.shuffle": 2.0, "audio~rgb.embed": 30.0}
    given = batch(long_pool)
    whole = build(long_pool, weights, scale).double()
    losses = whole(in_double(given), 0)
    assert losses.raw.keys() == ALL.keys()
    parameters = [p for p in whole.encoders.parameters() if p.requires_grad]
    total = torch.autograd.grad(losses.total, parameters, retain_graph=True)
    parts = [torch.zeros_like(p) for p in parameters]
    for name, value in losses.raw.items():
        found = torch.autograd.grad(value, parameters, retain_graph=True, allow_unused=True)
        for part, gradient in zip(parts, found, strict=True):
            if gradient is not None:
                part += weights[name] * scale.get(name, 1.0) * gradient
    for one, two in zip(total, parts, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-9, atol=1e-12)


def test_a_term_has_the_gradient_it_has_alone(long_pool: Collection) -> None:
    """No other term may leak into it, through batch statistics, momentum encoders or random numbers."""
    together = build(long_pool, ALL).double()
    given = in_double(batch(long_pool))
    losses = together(given, 0)
    for name in sorted(ALL)[::6]:
        alone = build(long_pool, {name: 1.0}).double()
        value = alone(given, 0).raw[name]
        parameters = list(alone.encoders.parameters())
        named = dict(together.encoders.named_parameters())
        same = [named[key] for key, _ in alone.encoders.named_parameters()]
        ours = torch.autograd.grad(value, parameters, allow_unused=True)
        theirs = torch.autograd.grad(losses.raw[name], same, allow_unused=True, retain_graph=True)
        for one, two in zip(ours, theirs, strict=True):
            if one is None or two is None:
                assert one is two, name
            else:
                torch.testing.assert_close(one, two, rtol=1e-7, atol=1e-10)


def test_clips_without_sound_never_reach_the_audio_encoder(long_pool: Collection) -> None:
    loss = build(long_pool, {"audio~rgb.embed": 1.0})
    inputs = loss.inputs(batch(long_pool, clips=(0, 2, 5, 6)), 0)
    assert inputs.features[View("audio")].rows.tolist() == [0, 3]  # type: ignore[union-attr]
    assert len(inputs.features[View("audio")].embedding) == 2


@pytest.mark.parametrize("clips", [(2, 5, 2), (0, 2, 5)])
def test_a_batch_with_fewer_than_two_sounds_trains_without_audio(long_pool: Collection, clips: tuple[int, ...]) -> None:
    loss = build(long_pool, {"audio~rgb.embed": 1.0, "distill.audio.layer1": 1.0, "rgb.shuffle": 1.0})
    before = {name: tensor.clone() for name, tensor in loss.encoders["audio"].state_dict().items()}
    losses = loss(batch(long_pool, clips=clips), 0)
    assert list(losses.raw) == ["rgb.shuffle"]
    losses.total.backward()
    assert loss.encoders["audio"].training
    assert all(torch.equal(tensor, before[name]) for name, tensor in loss.encoders["audio"].state_dict().items())


def test_calibration_makes_gradients_equally_long(long_pool: Collection) -> None:
    # Red is the pool's clock, so no colour of the last frames is there in earlier ones.
    searched = {name: 1.0 for name in ALL if name != "grey>rgb.track_colours"}
    loss = build(long_pool, searched)
    before = {name: tensor.clone() for name, tensor in loss.named_parameters()}
    norms = gradient_norms(loss, (batch(long_pool, step) for step in range(3)))
    found = scales(norms)
    assert found.keys() == searched.keys()
    for name, values in norms.items():
        assert found[name]["scale"] * sorted(values)[1] == pytest.approx(1)
    assert all(torch.equal(tensor, before[name]) for name, tensor in loss.named_parameters())


def test_calibration_measures_the_gradient_at_the_activations(long_pool: Collection) -> None:
    loss = build(long_pool, {"grey.reconstruct": 1.0})
    given = batch(long_pool)
    measured = gradient_norms(loss, [given])["grey.reconstruct"][0]
    inputs = loss.inputs(given, 0)
    layer = inputs.features[View("grey")].layers[3]
    (gradient,) = torch.autograd.grad(loss.terms["grey.reconstruct"](inputs), layer)
    assert measured == pytest.approx(gradient.norm().item(), rel=1e-3)


def test_a_term_that_cannot_be_calibrated_is_named() -> None:
    with pytest.raises(UserError, match=r"audio~rgb.align - .*need sound, or clips as long as their windows"):
        scales({"audio~rgb.align": []})
    with pytest.raises(UserError, match=r"rgb.shuffle - .* it is 0"):
        scales({"rgb.shuffle": [0.0, 0.0, 1.0]})
