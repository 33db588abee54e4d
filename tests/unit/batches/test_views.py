"""What transforms do to windows."""

import torch

from pipeline_src.batches.normalise import normalise
from pipeline_src.batches.views import TRANSFORMS, View, apply


def clock(channels: int = 3, clips: int = 6, frames: int = 8) -> torch.Tensor:
    return torch.arange(1.0, frames + 1)[None, None, :, None, None].expand(clips, channels, frames, 2, 2)


def test_shuffled_clips_keep_their_frames_but_never_their_order() -> None:
    for frames in (2, 3, 8):
        shuffled = apply(View("rgb", "shuffled"), clock(clips=64, frames=frames), torch.Generator().manual_seed(0))
        order = shuffled[:, 0, :, 0, 0]
        assert torch.equal(order.sort(1).values, clock(clips=64, frames=frames)[:, 0, :, 0, 0])
        assert not (order == torch.arange(1.0, frames + 1)).all(1).any()


def test_clips_of_a_batch_are_shuffled_differently() -> None:
    shuffled = apply(View("rgb", "shuffled"), clock(), torch.Generator().manual_seed(0))
    assert len({tuple(row.tolist()) for row in shuffled[:, 0, :, 0, 0]}) > 3


def test_reversed_flow_also_changes_its_sign() -> None:
    frames = apply(View("rgb", "reversed"), clock(3), torch.Generator())
    flow = apply(View("flow", "reversed"), clock(2), torch.Generator())
    assert frames[0, 0, :, 0, 0].tolist() == [8, 7, 6, 5, 4, 3, 2, 1]
    assert flow[0, 0, :, 0, 0].tolist() == [-8, -7, -6, -5, -4, -3, -2, -1]


def test_every_transform_keeps_the_shape() -> None:
    for name in TRANSFORMS:
        assert apply(View("rgb", name), clock(), torch.Generator()).shape == clock().shape


def test_normalised_values_have_the_pools_units() -> None:
    stored = torch.full((2, 4, 5, 5, 2), 138, dtype=torch.uint8)
    made = normalise(stored, "flow", {"flow": ([128.0, 128.0], [5.0, 10.0])})
    assert made.shape == (2, 2, 4, 5, 5)
    assert made[0, :, 0, 0, 0].tolist() == [2.0, 1.0]
    sound = normalise(torch.full((2, 7, 3), 4.0, dtype=torch.float16), "audio", {"audio": ([2.0], [4.0])})
    assert sound.shape == (2, 1, 7, 3)
    assert sound.unique().tolist() == [0.5]
