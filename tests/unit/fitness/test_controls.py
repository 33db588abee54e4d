"""Controls measured from clips."""

import numpy as np

from pipeline_src.fitness.controls import measured_features
from pipeline_src.shards.index import Collection


def test_nuisances_are_what_a_recording_has_without_any_content(pool: Collection) -> None:
    rows = np.array([5, 0, 3, 1, 6])
    found = measured_features(pool, rows)
    clips = pool.clips.iloc[rows]
    expected = []
    for clip in clips.itertuples():
        frames = pool.reader("rgb", clip.shard).read(clip.row)
        heard = pool.reader("audio", clip.shard).read(clip.row) if clip.has_sound else np.zeros(1)
        expected.append([clip.frames, frames.mean(), heard.astype(np.float64).mean()])
    length, brightness, loudness = np.array(expected, float).T
    nuisance = found["nuisance"]
    assert nuisance.shape == (5, 4)
    np.testing.assert_allclose(nuisance.std(0), 1)
    # The coarse picture's cells differ in size, so brightness is close to that of all pixels.
    assert np.corrcoef(nuisance[:, 1], brightness)[0, 1] > 0.98
    for column, values in ((0, length), (3, loudness)):
        np.testing.assert_allclose(nuisance[:, column], (values - values.mean()) / values.std(), atol=1e-6)
    assert (clips["has_sound"] == 0).any()
    assert found["raw_pixels"].shape == (5, 576)


def test_what_all_clips_share_is_no_difference(pool: Collection) -> None:
    assert not measured_features(pool, np.array([2, 2, 2]))["nuisance"].any()
