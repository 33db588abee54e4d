"""Grey pictures from RGB."""

import numpy as np

# ITU-R BT.601 luma, 0.299 R + 0.587 G + 0.114 B, as integers that sum to 2^16.
RED, GREEN, BLUE = np.uint32(19595), np.uint32(38470), np.uint32(7471)
HALF, BITS = np.uint32(1 << 15), np.uint32(16)


def luma(frames: np.ndarray) -> np.ndarray:
    """ITU-R BT.601 luma of full-range RGB.

    Args:
        frames: uint8 (T, H, W, 3) RGB.

    Returns:
        uint8 (T, H, W): 0.299 R + 0.587 G + 0.114 B, rounded.
    """
    grey = np.empty(frames.shape[:3], np.uint8)
    for target, frame in zip(grey, frames, strict=True):
        target[:] = (frame[..., 0] * RED + frame[..., 1] * GREEN + frame[..., 2] * BLUE + HALF) >> BITS
    return grey
