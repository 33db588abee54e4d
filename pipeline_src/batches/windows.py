"""Which stored frames a window consists of. Numpy only."""

import numpy as np


def window_frames(length: int, start: int, frames: int, padding: str) -> np.ndarray:
    """Indices (frames,) of stored frames for a window at `start`, beyond the clip's end filled by `padding`.

    Args:
        length: stored frames of the clip, at least 1.
        start: first frame, 0 <= start.
        frames: frames of the window.
        padding: loop starts the clip again, hold repeats its last frame.
    """
    wanted = np.arange(start, start + frames)
    return wanted % length if padding == "loop" else np.minimum(wanted, length - 1)


def flow_frames(length: int, start: int, frames: int, padding: str) -> np.ndarray:
    """Indices (frames,) of stored flow for a window, -1 where there is no motion to show.

    Flow t leads from frame t to t + 1, so a clip of `length` frames has length - 1. The last frame of a looped clip
    shows the last flow again, never the jump to the first frame; held frames do not move.

    Args:
        length: stored *frames* of the clip.
        start, frames, padding: as in window_frames.
    """
    if length < 2:
        return np.full(frames, -1)
    wanted = np.arange(start, start + frames)
    if padding == "loop":
        return np.minimum(wanted % length, length - 2)
    return np.where(wanted <= length - 2, wanted, -1)


def last_start(length: int, frames: int, after: int) -> int:
    """Last start of a window: with room for `after` more frames where the clip is long enough, else without."""
    return max(length - frames - after, 0) if length >= frames + after else max(length - frames, 0)


def even_starts(length: int, frames: int, windows: int) -> list[int]:
    """Starts of `windows` windows spread evenly over a clip; one window stands in the middle."""
    last = max(length - frames, 0)
    if windows == 1:
        return [last // 2]
    return [round(i * last / (windows - 1)) for i in range(windows)]


def shifted_start(length: int, start: int, frames: int, random: np.random.Generator) -> int | None:
    """A start at least half a window away from `start`; None where the clip is too short for one."""
    starts = np.arange(max(length - frames, 0) + 1)
    far = starts[np.abs(starts - start) >= max(frames // 2, 1)]
    return int(random.choice(far)) if len(far) else None
