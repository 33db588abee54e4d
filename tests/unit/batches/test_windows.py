"""Windows of short clips: what is repeated, what is held, and that flow never jumps over the seam."""

import numpy as np
import pytest

from pipeline_src.batches.clip_reader import ClipReader
from pipeline_src.batches.windows import padded, padded_flow
from pipeline_src.settings.learning import WindowSettings
from pipeline_src.shards.index import Collection


def steps(first: int, last: int) -> np.ndarray:
    return np.arange(first, last)


def test_frames_of_a_short_clip_loop_or_hold() -> None:
    assert padded(steps(0, 7), 3, "loop").tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert padded(steps(1, 5), 3, "hold").tolist() == [1, 2, 2, 2]
    assert padded(steps(4, 8), 9, "loop").tolist() == [4, 5, 6, 7]


def test_flow_of_a_looped_clip_never_shows_the_jump_to_its_start() -> None:
    assert padded_flow(steps(0, 7), 3, "loop").tolist() == [0, 1, 1, 0, 1, 1, 0]


def test_flow_of_held_frames_is_none() -> None:
    assert padded_flow(steps(0, 5), 3, "hold").tolist() == [0, 1, -1, -1, -1]
    assert padded_flow(steps(0, 3), 1, "loop").tolist() == [-1, -1, -1]


def test_flow_of_a_whole_window_inside_a_clip_is_the_stored_one() -> None:
    assert padded_flow(steps(2, 6), 9, "loop").tolist() == [2, 3, 4, 5]


def reader(pool: Collection, padding: str = "loop") -> ClipReader:
    return ClipReader(pool, WindowSettings(frames=8, crop=16, padding=padding))  # type: ignore[arg-type]


def test_all_modalities_of_a_window_show_the_same_moment_and_place(pool: Collection) -> None:
    read = reader(pool)
    frames = read.read("rgb", 0, steps(5, 13), (2, 1), mirrored=False)
    grey = read.read("grey", 0, steps(5, 13), (2, 1), mirrored=False)
    flow = read.read("flow", 0, steps(5, 13), (2, 1), mirrored=False)
    assert frames.shape == (8, 16, 16, 3)
    assert frames[:, 0, 0, 0].tolist() == list(range(5, 13))
    np.testing.assert_array_equal(grey[..., 0], frames[..., 1])
    assert flow[:, 0, 0, 0].tolist() == [128 + t for t in range(5, 13)]
    # 8 frames a second and a hop of 25 ms: five columns a frame.
    assert read.read("audio", 0, steps(5, 13), (0, 0), mirrored=False)[:, 0].tolist() == list(range(25, 65))


def test_a_mirrored_window_mirrors_pictures_and_turns_horizontal_flow_around(pool: Collection) -> None:
    read = reader(pool)
    frames = read.read("rgb", 0, steps(0, 8), (0, 0), mirrored=False)
    mirrored = read.read("rgb", 0, steps(0, 8), (0, 0), mirrored=True)
    np.testing.assert_array_equal(mirrored, frames[:, :, ::-1])
    flow = read.read("flow", 0, steps(0, 8), (0, 0), mirrored=True)
    assert flow[:, 0, 0, 0].tolist() == [128 - t for t in range(8)]
    assert flow[:, 0, 0, 1].tolist() == [128 - t for t in range(8)]


def test_a_one_frame_clip_is_a_still_window(pool: Collection) -> None:
    read = reader(pool)
    assert (read.read("rgb", 3, steps(0, 8), (0, 0), mirrored=False)[..., 0] == 0).all()
    assert (read.read("flow", 3, steps(0, 8), (0, 0), mirrored=False) == 128).all()


def test_held_frames_have_no_flow(pool: Collection) -> None:
    flow = reader(pool, "hold").read("flow", 2, steps(0, 8), (0, 0), mirrored=False)
    assert flow[:, 0, 0, 0].tolist() == [128, 129, 130, 131, 128, 128, 128, 128]


def test_a_clip_without_sound_is_known_as_such(pool: Collection) -> None:
    read = reader(pool)
    assert [read.has_sound(i) for i in range(len(read))] == [i not in (2, 5) for i in range(8)]


def test_frames_are_read_in_any_order(pool: Collection) -> None:
    wanted = np.array([9, 2, 2, 30, 14])
    assert reader(pool).read("rgb", 0, wanted, (0, 0), mirrored=False)[:, 0, 0, 0].tolist() == [9, 2, 2, 10, 14]
    assert reader(pool).read("flow", 0, wanted, (0, 0), mirrored=False)[:, 0, 0, 0].tolist() == [
        137,
        130,
        130,
        138,
        142,
    ]


def test_a_spectrogram_is_never_read_at_another_speed(pool: Collection) -> None:
    with pytest.raises(ValueError, match="must follow each other"):
        reader(pool).read("audio", 0, np.array([0, 2, 4]), (0, 0), mirrored=False)
