"""Grey pictures are BT.601 luma."""

import numpy as np

from pipeline_src.features.grey import luma


def test_every_kind_of_colour_is_within_rounding_of_the_formula():
    colours = np.random.default_rng(0).integers(0, 256, (3, 40, 50, 3)).astype(np.uint8)
    exact = colours @ np.array([0.299, 0.587, 0.114])
    assert np.abs(luma(colours) - exact).max() <= 0.505


def test_greys_stay_what_they_are_and_colours_are_weighed_in_rgb_order():
    greys = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)[None, None]
    np.testing.assert_array_equal(luma(greys)[0, 0], np.arange(256))
    primaries = np.diag([255, 255, 255]).astype(np.uint8)[None, None]
    assert luma(primaries).ravel().tolist() == [76, 150, 29]


def test_no_frames_give_no_pictures():
    assert luma(np.zeros((0, 4, 6, 3), np.uint8)).shape == (0, 4, 6)
