"""Clips to vectors without a network: statistics of their pixels."""

import numpy as np
import pandas as pd

from pipeline_src.shards.index import Collection

GRID = 8
FRAMES_AT_ONCE = 64


def pixel_features(collection: Collection, clips: pd.DataFrame) -> np.ndarray:
    """Per clip, `frame_statistics` of its whole length, shape (N, 576)."""
    features = np.zeros((len(clips), 3 * GRID * GRID * 3))
    shards, rows, frame_counts = (clips[name].to_numpy() for name in ("shard", "row", "frames"))
    for shard in np.unique(shards.astype(str)):
        reader = collection.reader("rgb", shard)
        for place in np.flatnonzero(shards == shard):
            row, frames = int(rows[place]), int(frame_counts[place])
            pieces = [
                downscale(reader.read(row, start, min(start + FRAMES_AT_ONCE, frames)))
                for start in range(0, frames, FRAMES_AT_ONCE)
            ]
            features[place] = frame_statistics(np.concatenate(pieces))
        reader.close()
    return features


def downscale(frames: np.ndarray, grid: int = GRID) -> np.ndarray:
    """Area averages of (T, H, W, 3) frames, shape (T, grid, grid, 3); H and W are at least `grid`."""
    height, width = frames.shape[1:3]
    rows, columns = (np.arange(grid) * size // grid for size in (height, width))
    sums = np.add.reduceat(np.add.reduceat(frames, rows, axis=1, dtype=np.uint32), columns, axis=2, dtype=np.uint32)
    areas = np.diff(rows, append=height)[:, None] * np.diff(columns, append=width)[None]
    return np.asarray(sums / areas[None, :, :, None])


def frame_statistics(small: np.ndarray) -> np.ndarray:
    """Mean and deviation over time, mean absolute difference of consecutive frames; (T, h, w, 3) to (9 h w,).

    The third part is 0 for a single frame.
    """
    change = np.abs(np.diff(small, axis=0)).mean(0) if len(small) > 1 else np.zeros(small.shape[1:])
    return np.concatenate([small.mean(0).ravel(), small.std(0).ravel(), change.ravel()])
