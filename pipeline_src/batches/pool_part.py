"""A part of the pool: how much do more unlabelled videos help?"""

import numpy as np
import pandas as pd


def part_of_pool(clips: pd.DataFrame, fraction: float, seed: int) -> np.ndarray:
    """Rows of whole source videos, in a random order until they have that share of the clips; sorted.

    A smaller part is within a larger one of the same seed.

    Args:
        clips: the pool's, with source_video.
        fraction: of its clips, above 0 to 1; at least one video.
        seed: of the order.
    """
    videos, own = np.unique(clips["source_video"].to_numpy(str), return_inverse=True)
    order = np.random.default_rng([seed, 13]).permutation(len(videos))
    reached = np.cumsum(np.bincount(own)[order])
    count = 1 + int(np.searchsorted(reached, round(fraction * len(clips))))
    return np.flatnonzero(np.isin(own, order[:count]))
