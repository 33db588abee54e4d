"""Grey pictures from RGB."""

import cv2
import numpy as np


def luma(frames: np.ndarray) -> np.ndarray:
    """ITU-R BT.601 luma of full-range RGB.

    Args:
        frames: uint8 (T, H, W, 3) RGB.

    Returns:
        uint8 (T, H, W): 0.299 R + 0.587 G + 0.114 B, rounded.
    """
    grey = np.empty(frames.shape[:3], np.uint8)
    for target, frame in zip(grey, frames, strict=True):
        cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY, dst=target)
    return grey
