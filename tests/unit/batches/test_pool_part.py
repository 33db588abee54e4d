"""Parts of the pool."""

import itertools

import numpy as np
import pandas as pd
import pytest

from pipeline_src.batches.pool_part import part_of_pool

CLIPS = pd.DataFrame({"source_video": [f"v{n}" for n in np.repeat(range(100), [1 + n % 5 for n in range(100)])]})


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5, 0.9])
def test_a_part_has_its_share_of_clips_in_whole_videos(fraction: float) -> None:
    rows = part_of_pool(CLIPS, fraction, 0)
    assert len(rows) == pytest.approx(fraction * len(CLIPS), abs=5)
    videos = set(CLIPS["source_video"].iloc[rows])
    assert len(rows) == CLIPS["source_video"].isin(videos).sum()
    assert (np.diff(rows) > 0).all()


def test_smaller_parts_are_within_larger_ones_and_seeds_differ() -> None:
    parts = [set(part_of_pool(CLIPS, fraction, 0).tolist()) for fraction in (0.001, 0.1, 0.3, 0.9)]
    assert all(small < large for small, large in itertools.pairwise(parts))
    assert parts[0]
    assert set(part_of_pool(CLIPS, 0.3, 1).tolist()) != parts[2]
