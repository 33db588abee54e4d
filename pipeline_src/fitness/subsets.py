"""Which clips a fitness is measured on; test clips are never among them."""

import numpy as np

from pipeline_src.errors import UserError
from pipeline_src.shards.index import Collection


def pool_rows(pool: Collection, clips: int, seed: int) -> np.ndarray:
    """Rows of at most `clips` clips of the pool, drawn from the seed, sorted."""
    count = len(pool.clips)
    if count <= clips:
        return np.arange(count)
    return np.sort(np.random.default_rng([seed, count, clips]).choice(count, clips, replace=False))


def weak_rows(labelled: Collection, split: int) -> np.ndarray:
    """Rows of a labelled collection's training clips.

    Raises:
        UserError: the split has none.
    """
    rows = np.flatnonzero((labelled.clips[f"split_{split}"] == "train").to_numpy())
    if len(rows) == 0:
        raise UserError(
            f"fitness.weak.split: {split} - {labelled.folder.name} has no usable training clips there; choose another"
        )
    return rows
