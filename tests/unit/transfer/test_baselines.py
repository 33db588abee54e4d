"""Baselines without a network."""

import numpy as np
import pytest

from pipeline_src.embedding.pixels import downscale, frame_statistics, pixel_features
from pipeline_src.settings.transfer import KmeansSettings, LinearSettings, RetrievalSettings
from pipeline_src.shards.index import Collection
from pipeline_src.transfer.baselines import baselines


def test_downscale_is_the_area_average():
    """Against a plain mean over blocks, for sizes that the grid divides and that it does not."""
    random = np.random.default_rng(0)
    frames = random.integers(0, 256, (2, 16, 24, 3), dtype=np.uint8)
    expected = frames.reshape(2, 8, 2, 8, 3, 3).mean((2, 4))
    np.testing.assert_allclose(downscale(frames), expected)
    odd = downscale(random.integers(0, 256, (1, 19, 21, 3), dtype=np.uint8), grid=4)
    assert odd.shape == (1, 4, 4, 3)
    np.testing.assert_allclose(downscale(np.full((3, 19, 21, 3), 255, np.uint8)), 255)


def test_frame_statistics_by_hand():
    """Mean, deviation and change of a pixel that goes 0, 2, 10."""
    small = np.array([0.0, 2.0, 10.0]).reshape(3, 1, 1, 1)
    np.testing.assert_allclose(frame_statistics(small), [4, np.std([0, 2, 10]), 5])
    np.testing.assert_allclose(frame_statistics(small[:1]), [0, 0, 0])


def test_pixel_features_do_not_depend_on_reading_in_pieces(collection_folder, monkeypatch):
    """Else long clips get other features than short ones."""
    collection = Collection.open(collection_folder / "index.json")
    whole = pixel_features(collection, collection.clips)
    monkeypatch.setattr("pipeline_src.embedding.pixels.FRAMES_AT_ONCE", 2)
    np.testing.assert_array_equal(pixel_features(collection, collection.clips), whole)
    frames = collection.reader("rgb", "000001").read(3)
    assert collection.clips["clip_id"][15] == "clip103"
    np.testing.assert_allclose(whole[15], frame_statistics(downscale(frames)))


def test_brightness_is_found_by_pixels_and_not_by_length(collection_folder):
    """Else a baseline tells the wrong story about what the labels need."""
    collection = Collection.open(collection_folder / "index.json")
    rows = baselines(collection, 1, KmeansSettings(), LinearSettings(), RetrievalSettings(), 0)
    found = {(row["entry"], row["method"]): row["top1"] for row in rows}
    assert found[("raw pixels", "kmeans")] == found[("raw pixels", "linear")] == 1
    assert found[("frame count", "linear")] == found[("frame count", "kmeans")] == pytest.approx(0.5)
