"""What transforms do to windows."""

import numpy as np
import pytest
import torch

from pipeline_src.batches.draws import Draws, generator
from pipeline_src.batches.normalise import normalise
from pipeline_src.batches.views import TRANSFORMS, View, apply

SETTINGS: dict[str, tuple[float, ...]] = {
    "segments": (4,),
    "stretched": (3, 2.0),
    "noisy": (0.5,),
    "masked": (0.75, 4),
    "pieces": (2,),
    "questions": (5,),
}


def clock(channels: int = 3, clips: int = 6, frames: int = 8) -> torch.Tensor:
    return torch.arange(1.0, frames + 1)[None, None, :, None, None].expand(clips, channels, frames, 2, 2)


def picture(channels: int = 3, clips: int = 6, frames: int = 4, size: int = 12) -> torch.Tensor:
    return torch.randn(clips, channels, frames, size, size, generator=generator("picture"))


def draws(clips: int, total: int | None = None, seed: int = 0) -> Draws:
    return Draws(generator(seed), total or clips, torch.arange(clips), torch.device("cpu"))


def see(transform: str, x: torch.Tensor, modality: str = "rgb", seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    return apply(View(modality, transform, SETTINGS.get(transform, ())), x, draws(len(x), seed=seed))  # type: ignore[return-value]


def changed(transform: str, x: torch.Tensor, modality: str = "rgb") -> torch.Tensor:
    """The clips of a batch that were changed; about half of them were, and their label says so."""
    seen, plain = see(transform, x, modality)
    assert set(plain.tolist()) == {0, 1}
    assert torch.equal(seen[plain == 1], x[plain == 1])
    return seen[plain == 0]


def test_shuffled_clips_keep_their_frames_but_never_their_order() -> None:
    for frames in (2, 3, 8):
        order = changed("shuffled", clock(clips=64, frames=frames))[:, 0, :, 0, 0]
        assert 20 < len(order) < 44
        assert torch.equal(order.sort(1).values, clock(clips=len(order), frames=frames)[:, 0, :, 0, 0])
        assert not (order == torch.arange(1.0, frames + 1)).all(1).any()


def test_clips_of_a_batch_are_shuffled_differently() -> None:
    shuffled = changed("shuffled", clock(clips=16))
    assert len({tuple(row.tolist()) for row in shuffled[:, 0, :, 0, 0]}) > 3


def test_reversed_flow_also_changes_its_sign() -> None:
    frames, flow = changed("reversed", clock(3)), changed("reversed", clock(2), "flow")
    assert frames[0, 0, :, 0, 0].tolist() == [8, 7, 6, 5, 4, 3, 2, 1]
    assert flow[0, 0, :, 0, 0].tolist() == [-8, -7, -6, -5, -4, -3, -2, -1]


def test_flow_of_a_reversed_clip_lies_where_it_starts_from_then() -> None:
    """A block that moves by two to the right: backward it starts two to the right and goes left."""
    flow = torch.zeros(16, 2, 1, 12, 12)
    flow[:, 0, :, 4:9, 2:7] = 4.0  # in units of half a pixel
    numbers = Draws(generator(0), 16, torch.arange(16), torch.device("cpu"), pixels=(0.5, 0.5))
    seen, plain = apply(View("flow", "reversed"), flow, numbers)
    assert plain is not None
    backward = seen[plain == 0][0, 0, 0]
    assert (backward[4:9, 4:9] == -4).all()
    assert (backward[:4] == 0).all()
    assert (backward[9:] == 0).all()
    assert (backward[4:9, 9:] == 0).all()
    assert (backward[4:9, :2] == 0).all()
    # What it uncovers, two columns, has the flow around.
    assert (backward[4:9, 2:4] <= 0).all()


def test_a_spectrogram_is_shuffled_and_reversed_in_time() -> None:
    sound = torch.arange(18.0)[None, None, :, None].expand(40, 1, 18, 3)
    backward = changed("reversed", sound, "audio")
    assert backward[0, 0, :, 0].tolist() == list(range(17, -1, -1))
    for row in changed("segments", sound, "audio")[:, 0, :, 0]:
        segments = [tuple(part) for part in row[:16].reshape(4, 4).tolist()]
        assert sorted(segments) == [tuple(range(i, i + 4)) for i in (0, 4, 8, 12)]
        assert segments != sorted(segments)
        assert row[16:].tolist() == [16, 17]


def test_rotated_clips_are_turned_by_their_label() -> None:
    x = picture(clips=24)
    turned, label = see("rotated", x)
    assert set(label.tolist()) == {0, 1, 2, 3}
    for clip, k in enumerate(label.tolist()):
        np.testing.assert_array_equal(turned[clip].numpy(), np.rot90(x[clip].numpy(), k, (2, 3)))


def test_stretched_pictures_show_as_much_whatever_the_ratio() -> None:
    """Else the zoom or a border would tell the ratio."""
    rows, columns = torch.meshgrid(torch.arange(24.0), torch.arange(24.0), indexing="ij")
    ramps = torch.stack([columns, rows, rows])[None, :, None].expand(60, 3, 2, 24, 24)
    shown, label = see("stretched", ramps)
    wide = shown[:, 0, 0, 12, 18] - shown[:, 0, 0, 12, 6]
    high = shown[:, 1, 0, 18, 12] - shown[:, 1, 0, 6, 12]
    for ratio, expected in ((0, 0.5), (1, 1.0), (2, 2.0)):
        chosen = label == ratio
        assert chosen.any()
        np.testing.assert_allclose((wide / high)[chosen], expected, rtol=1e-3)
        np.testing.assert_allclose((wide * high)[chosen], 12 * 12 / 2, rtol=1e-3)


def test_masked_pictures_lose_the_wanted_share_in_all_frames_alike() -> None:
    x = picture(size=16) + 10
    shown, mask = see("masked", x)
    assert mask.shape == (6, 1, 16, 16)
    assert (mask.mean((1, 2, 3)) == 0.75).all()
    assert ((shown == 0) == (mask[:, :, None] > 0)).all()
    assert torch.equal(shown[shown != 0], x[shown != 0])


def test_noise_has_the_wanted_deviation_and_is_each_clips_own() -> None:
    x = torch.zeros(4, 3, 8, 16, 16)
    noisy, _ = see("noisy", x)
    assert noisy.std().item() == pytest.approx(0.5, rel=0.02)
    assert not torch.equal(noisy[0], noisy[1])


def test_frames_and_pieces_lie_clip_by_clip() -> None:
    x = picture()
    frames, _ = see("frames", x)
    assert frames.shape == (24, 3, 1, 12, 12)
    assert torch.equal(frames[5, :, 0], x[1, :, 1])
    pieces, _ = see("pieces", x)
    assert pieces.shape == (24, 3, 4, 4, 4)
    # The second piece of the first clip lies somewhere in its upper right quarter.
    quarter = x[0, :, :, :6, 6:]
    places = [quarter[:, :, i : i + 4, j : j + 4] for i in range(3) for j in range(3)]
    assert sum(torch.equal(pieces[1], place) for place in places) == 1


def test_one_of_the_questions_is_out_of_order() -> None:
    shown, label = see("questions", clock(clips=30))
    order = shown[:, 0, :, 0, 0].unflatten(0, (30, 5))
    in_order = (order.diff(dim=2) > 0).all(2)
    assert (in_order.sum(1) == 4).all()
    assert torch.equal((~in_order).float().argmax(1), label)


def test_augmented_flow_grows_with_the_zoom_and_turns_with_the_mirror() -> None:
    """A ramp's slope tells how much was zoomed; the vectors, constant, must be scaled by as much."""
    flow = torch.ones(40, 2, 3, 16, 16)
    seen, geometry = see("zoom1", flow, "flow")
    assert geometry.shape == (40, 5)
    mirrored = 1 - 2 * geometry[:, 4]
    np.testing.assert_allclose(seen[:, 0, 0, 8, 8], mirrored / geometry[:, 2], rtol=1e-4)
    np.testing.assert_allclose(seen[:, 1, 0, 8, 8], 1 / geometry[:, 3], rtol=1e-4)
    assert geometry[:, 4].unique().tolist() == [0, 1]


def test_augmentation_shows_the_part_that_it_says() -> None:
    columns = torch.arange(32.0).expand(40, 1, 2, 32, 32)
    seen, geometry = see("zoom1", columns, "grey")
    left, width = geometry[:, 0] * 32, geometry[:, 2] * 32
    middle = torch.where(geometry[:, 4] > 0, seen[:, 0, 0, 0].flip(1)[:, 8], seen[:, 0, 0, 0, 8])
    np.testing.assert_allclose(middle, left + width * 8.5 / 32 - 0.5, atol=1e-3)


def test_streams_of_a_clip_are_cropped_alike() -> None:
    boxes = [see("zoom1", picture(channels), name)[1] for channels, name in ((3, "rgb"), (2, "flow"), (1, "grey"))]
    assert torch.equal(boxes[0], boxes[1])
    assert torch.equal(boxes[0], boxes[2])


def test_a_colourless_clip_stays_colourless_and_sharp_ones_may_blur() -> None:
    grey = picture(1, clips=40).expand(40, 3, 4, 12, 12)
    seen, _ = see("zoom1", grey)
    assert torch.allclose(seen[:, 0], seen[:, 1], atol=1e-5)
    assert torch.allclose(seen[:, 0], seen[:, 2], atol=1e-5)


@pytest.mark.parametrize("name", sorted(TRANSFORMS))
def test_a_clip_gets_the_same_numbers_whichever_process_has_it(name: str) -> None:
    """Two processes must train as one does."""
    modality = "audio" if name == "segments" else "rgb"
    x = torch.randn(8, 1, 20, 6, generator=generator(1)) if modality == "audio" else picture(clips=8, frames=9)
    view = View(modality, name, SETTINGS.get(name, ()))
    whole, label = apply(view, x, Draws(generator(2), 8, torch.arange(8), torch.device("cpu")))
    some = torch.tensor([1, 4, 6, 7])
    part, part_label = apply(view, x[some], Draws(generator(2), 8, some, torch.device("cpu")))
    np.testing.assert_allclose(part, whole.unflatten(0, (8, -1))[some].flatten(0, 1), atol=1e-6)
    if label is not None:
        assert torch.equal(part_label, label[some])  # type: ignore[arg-type]


def test_a_ranked_view_has_each_of_a_clips_moments_as_a_clip_of_its_own() -> None:
    x = torch.arange(1.0, 10)[None, None, :, None, None].expand(2, 3, 9, 12, 12)
    seen, _ = see("ranked", x)
    assert seen.shape == (6, 3, 3, 12, 12)
    # However they are coloured, later frames are brighter: each part has its own three.
    assert (seen[:, :, 1:].mean((1, 3, 4)) > seen[:, :, :-1].mean((1, 3, 4))).all()
    parts = seen.mean((1, 2, 3, 4)).view(2, 3)
    assert (parts[:, 1:] > parts[:, :-1]).all()


def test_normalised_values_have_the_pools_units() -> None:
    stored = torch.full((2, 4, 5, 5, 2), 138, dtype=torch.uint8)
    made = normalise(stored, "flow", {"flow": ([128.0, 128.0], [5.0, 10.0])})
    assert made.shape == (2, 2, 4, 5, 5)
    assert made[0, :, 0, 0, 0].tolist() == [2.0, 1.0]
    sound = normalise(torch.full((2, 7, 3), 4.0, dtype=torch.float16), "audio", {"audio": ([2.0], [4.0])})
    assert sound.shape == (2, 1, 7, 3)
    assert sound.unique().tolist() == [0.5]
