"""Flow by polynomial expansion: fast and smooth.

Farneback, Two-Frame Motion Estimation Based on Polynomial Expansion, 2003.
"""

from typing import Any

import cv2
import numpy as np

SETTINGS: dict[str, dict[str, Any]] = {
    "scales": {"default": 5, "minimum": 1, "maximum": 10, "help": "levels of the image pyramid"},
    "scale_step": {
        "default": 0.5,
        "minimum": 0.3,
        "maximum": 0.95,
        "help": "size of a level of the pyramid relative to the one below",
    },
    "window": {
        "default": 13,
        "minimum": 3,
        "maximum": 63,
        "help": "width in pixels of the area that moves as one: larger is smoother and steadier",
    },
    "iterations": {"default": 10, "minimum": 1, "maximum": 100, "help": "iterations per level"},
    "neighbourhood": {
        "default": 5,
        "choices": [5, 7],
        "help": "width in pixels of the area that each polynomial describes",
    },
}
# The spread of the polynomial's weights that suits each neighbourhood, as OpenCV's documentation says.
SPREADS = {5: 1.1, 7: 1.5}

# Clips are spread over the job's threads, so one call keeps to one thread.
cv2.setNumThreads(1)


def pairs(before: np.ndarray, after: np.ndarray, settings: dict[str, Any]) -> np.ndarray:
    """Motion between pairs of frames.

    Args:
        before, after: grey uint8 (N, H, W) each.
        settings: a complete set of SETTINGS.

    Returns:
        float32 (N, H, W, 2): x (right) and y (down) displacement in pixels from before to after; each pair's depends on
        its own two frames only.
    """
    size = settings["neighbourhood"]
    flow = np.empty((*before.shape, 2), np.float32)
    for target, first, second in zip(flow, before, after, strict=True):
        cv2.calcOpticalFlowFarneback(
            first,
            second,
            target,
            settings["scale_step"],
            settings["scales"],
            settings["window"],
            settings["iterations"],
            size,
            SPREADS[size],
            0,
        )
    return flow
