"""Which stored items stand for the frames that a window asks for. Numpy only."""

import numpy as np


def even_starts(length: int, frames: int, windows: int) -> list[int]:
    """Starts of `windows` windows spread evenly over a clip; one window stands in the middle."""
    last = max(length - frames, 0)
    if windows == 1:
        return [last // 2]
    return [round(i * last / (windows - 1)) for i in range(windows)]


def padded(wanted: np.ndarray, length: int, padding: str) -> np.ndarray:
    """Stored frames (T,) that stand for wanted ones, those beyond the clip's end filled by `padding`.

    Args:
        wanted: frame numbers, 0 or more.
        length: stored frames of the clip, at least 1.
        padding: loop starts the clip again, hold repeats its last frame.
    """
    return wanted % length if padding == "loop" else np.minimum(wanted, length - 1)


def padded_flow(wanted: np.ndarray, length: int, padding: str) -> np.ndarray:
    """Stored flow (T,) that stands for wanted ones, -1 where there is no motion to show.

    Flow t leads from frame t to t + 1, so a clip of `length` frames has length - 1. The last frame of a looped clip
    shows the last flow again, never the jump to the first frame; held frames do not move.

    Args:
        length: stored *frames* of the clip.
        wanted, padding: as in padded.
    """
    if length < 2:
        return np.full(len(wanted), -1)
    if padding == "loop":
        return np.minimum(wanted % length, length - 2)
    return np.where(wanted <= length - 2, wanted, -1)
