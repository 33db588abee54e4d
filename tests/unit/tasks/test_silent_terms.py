"""Terms of sound where clips have none, or too few of a batch."""

import pytest
import torch

from pipeline_src.batches.moments import Place, draw
from pipeline_src.batches.views import moment
from pipeline_src.loss.engine import EvolvedLoss
from pipeline_src.networks.encoder import CHANNELS
from pipeline_src.settings import catalogue
from pipeline_src.settings.learning import NetworkSettings, WindowSettings
from tests.unit.small_loss import small_loss
from tests.unit.tasks.inputs import SOUND, build, given, taken

HEARD = sorted(name for name in catalogue.terms() if "audio" in catalogue.modalities_of(name))
SEEN = ("rgb.reconstruct", "flow~rgb.embed")
WINDOW = WindowSettings(frames=5, crop=16, future_frames=2)
SPECTROGRAM = (25, 8)
CLIPS = 4


@pytest.mark.parametrize("name", HEARD)
def test_clips_without_sound_change_nothing_in_the_terms_of_sound(name: str) -> None:
    """Silence would otherwise be learned as if it were a sound."""
    term = build(name)
    inputs = given(term, unusable={"next": (2,), "shifted": (5,)})
    assert term(inputs).item() == pytest.approx(term(taken(inputs, SOUND)).item(), rel=1e-12)
    outcome, alone = term.outcome(inputs), term.outcome(taken(inputs, SOUND))
    assert outcome.values.tolist() == alone.values.tolist()


@pytest.mark.parametrize("name", HEARD)
def test_terms_of_sound_stay_silent_where_no_clip_has_any(name: str) -> None:
    term = build(name)
    assert term(given(term, sound=())) is None
    assert term.outcome(given(term, sound=())) is None


def loss_of_sound() -> EvolvedLoss:
    """All terms of sound, and some others."""
    return EvolvedLoss(
        weights=dict.fromkeys([*HEARD, *SEEN], 1.0),
        scales={},
        loss=small_loss(*HEARD, *SEEN),
        network=NetworkSettings(video="small_r3d", width=4, decoder_width=4),
        window=WINDOW,
        statistics={name: ([128.0] * count, [50.0] * count) for name, count in CHANNELS.items()},
        spectrogram=SPECTROGRAM,
        seed=1,
    ).train()


def batch(loss: EvolvedLoss, sound: tuple[int, ...]) -> dict[str, torch.Tensor]:
    """Random windows of long clips of as many videos, some of which have sound."""
    random = torch.Generator().manual_seed(2)
    found: dict[str, torch.Tensor] = {}
    for view in loss.views:
        drawn = draw(moment(view), Place(40, 0, None, WINDOW), (0, 0, 0))
        frames = len(drawn.frames)
        size: tuple[int, ...] = (frames, WINDOW.crop, WINDOW.crop, CHANNELS[view.modality])
        if view.modality == "audio":
            size = (SPECTROGRAM[0] * frames // WINDOW.frames, SPECTROGRAM[1])
        stored = torch.randint(1, 256, (CLIPS, *size), generator=random)
        found[f"{view.modality}.{moment(view)}"] = stored.half() if view.modality == "audio" else stored.byte()
        found[f"{view.modality}.{moment(view)}.whole"] = torch.ones(CLIPS, dtype=torch.bool)
        found[f"{moment(view)}.usable"] = torch.ones(CLIPS, dtype=torch.bool)
        found[f"{moment(view)}.label"] = torch.zeros(CLIPS, dtype=torch.long)
    has_sound = torch.tensor([clip in sound for clip in range(CLIPS)])
    one_each = torch.arange(CLIPS)
    return found | {"has_sound": has_sound, "clip": one_each, "video": one_each, "class": one_each}


@pytest.mark.parametrize("sound", [(), (0,), (2,)])
def test_a_single_clip_with_sound_counts_as_silent(sound: tuple[int, ...]) -> None:
    """The audio encoder needs two for its statistics."""
    loss = loss_of_sound()
    inputs = loss.inputs(batch(loss, sound), 0)
    assert len(inputs.sound) == 0
    for view in loss.views:
        if view.modality == "audio":
            assert view not in inputs.targets or len(inputs.targets[view]) == 0
            if view in inputs.features:
                features = inputs.features[view]
                assert [len(layer) for layer in features.layers] == [0, 0, 0, 0]
                assert len(features.rows) == len(features.all_rows) == len(features.embedding) == 0  # type: ignore[arg-type]
    losses = loss.weigh(inputs)
    assert sorted(losses.raw) == sorted(SEEN)
    assert losses.total.item() == pytest.approx(sum(value.item() for value in losses.raw.values()))
    for name in HEARD:
        assert loss.terms[name].outcome(inputs) is None
    losses.total.backward()
    assert all(parameter.grad is None for parameter in loss.encoders["audio"].parameters())
    assert all(torch.isfinite(parameter.grad).all() for parameter in loss.encoders["rgb"].parameters())


def test_a_single_clip_with_sound_changes_nothing_in_other_terms() -> None:
    values = []
    for sound in ((), (3,)):
        loss = loss_of_sound()
        values.append({name: value.item() for name, value in loss(batch(loss, sound), 0).raw.items()})
    assert values[0] == values[1]


def test_two_clips_with_sound_are_enough() -> None:
    loss = loss_of_sound()
    inputs = loss.inputs(batch(loss, (1, 3)), 0)
    assert inputs.sound.tolist() == [1, 3]
    losses = loss.weigh(inputs)
    assert sorted(losses.raw) == sorted([*HEARD, *SEEN])
    assert torch.isfinite(losses.total)
    assert all(loss.terms[name].outcome(inputs) is not None for name in HEARD)
