"""Every flow method gives motion in the promised direction, order and unit."""

import importlib

import cv2
import numpy as np
import pytest

from pipeline_src.errors import UserError
from pipeline_src.settings import catalogue

METHODS = [name for name in catalogue.names("flow") if not catalogue.reads_media(name)]


def pairs(method: str, frames: np.ndarray, **settings: object) -> np.ndarray:
    return importlib.import_module(catalogue.module("flow", method)).pairs(
        frames[:-1], frames[1:], catalogue.complete("flow", method, settings)
    )


def moving(steps: list[tuple[int, int]], size: int = 64) -> np.ndarray:
    """Grey frames of a texture that moves by each (x, y) in pixels: right and down are positive."""
    margin = 40
    texture = np.random.default_rng(0).integers(0, 256, (size + 2 * margin,) * 2).astype(np.float32)
    texture = cv2.normalize(cv2.GaussianBlur(texture, (0, 0), 2), None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    x = y = margin
    frames = []
    for step in [(0, 0), *steps]:
        x, y = x - step[0], y - step[1]
        frames.append(texture[y : y + size, x : x + size])
    return np.stack(frames)


def test_both_methods_are_known():
    assert {"dis", "tvl1"} <= set(METHODS)


@pytest.mark.parametrize("method", METHODS)
def test_each_row_is_the_motion_to_the_next_frame_in_pixels_x_first(method):
    steps = [(3, -2), (0, 0), (-1, 4)]
    flow = pairs(method, moving(steps))
    assert flow.dtype == np.float32
    assert flow.shape == (3, 64, 64, 2)
    np.testing.assert_allclose(np.median(flow, axis=(1, 2)), steps, atol=0.1)


@pytest.mark.parametrize("method", METHODS)
def test_frames_that_do_not_change_have_exactly_no_motion(method):
    still = np.repeat(moving([])[:1], 3, axis=0)
    found = pairs(method, still)
    if method == "farneback":  # The polynomials of the outermost pixels lack neighbours.
        assert np.abs(found[:, 8:-8, 8:-8]).max() < 1e-3
    else:
        assert not found.any()
    assert not pairs(method, np.full((3, 32, 48), 200, np.uint8)).any()


@pytest.mark.parametrize("method", METHODS)
def test_one_frame_has_no_motion(method):
    assert pairs(method, moving([])).shape == (0, 64, 64, 2)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [(16, 16), (16, 40), (40, 18)])
def test_a_row_depends_on_its_two_frames_only(method, size):
    """Otherwise a clip's flow would change with the length of the clip or the place where it was cut."""
    frames = np.random.default_rng(1).integers(0, 256, (4, *size)).astype(np.uint8)
    flow = pairs(method, frames)
    assert np.isfinite(flow).all()
    np.testing.assert_array_equal(flow[2], pairs(method, frames[2:])[0])
    np.testing.assert_array_equal(flow, pairs(method, frames))


def test_default_settings_are_the_library_defaults():
    """Flow in the literature is made with these; no earlier flow may seed the search."""
    frames = np.random.default_rng(2).integers(0, 256, (3, 40, 56)).astype(np.uint8)
    for method, create in (
        ("dis", lambda: cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)),
        ("tvl1", cv2.optflow.DualTVL1OpticalFlow.create),
    ):
        flow = pairs(method, frames)
        for row in range(2):
            np.testing.assert_array_equal(flow[row], create().calc(frames[row], frames[row + 1], None))


@pytest.mark.parametrize("method", METHODS)
def test_every_setting_at_its_limits_gives_finite_flow(method):
    frames = np.random.default_rng(1).integers(0, 256, (2, 16, 16)).astype(np.uint8)
    for name, entry in catalogue.declared("flow", method).items():
        for value in entry.get("choices", [entry.get("minimum"), entry.get("maximum")]):
            if (name.endswith("iterations") and value == entry.get("maximum")) or value == "cuda":
                continue  # takes long and is a matter of time only, or is another machine's
            assert np.isfinite(pairs(method, frames, **{name: value})).all(), (name, value)


def test_a_tvl1_setting_reaches_the_method():
    frames = moving([(3, -2)])
    assert not np.array_equal(pairs("tvl1", frames), pairs("tvl1", frames, **{"lambda": 0.01}))


def test_dis_presets_differ():
    frames = moving([(3, -2)])
    assert not np.array_equal(pairs("dis", frames), pairs("dis", frames, preset="ultrafast"))


def test_frames_that_a_preset_cannot_work_on_are_told_with_what_to_do():
    frames = np.random.default_rng(1).integers(0, 256, (2, 16, 1024)).astype(np.uint8)
    with pytest.raises(UserError, match=r"flow\.settings\.preset: 'fast'.*16 x 1024.*preset medium"):
        pairs("dis", frames, preset="fast")
    assert np.isfinite(pairs("dis", frames)).all()
