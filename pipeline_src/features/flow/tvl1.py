"""Total variation with an L1 data term (TV-L1): precise and slow optical flow.

Zach et al., A Duality Based Approach for Realtime TV-L1 Optical Flow, 2007.
"""

from itertools import pairwise
from typing import Any

import cv2
import numpy as np

SETTINGS: dict[str, dict[str, Any]] = {
    "smoothness": {
        "default": 0.15,
        "minimum": 0.001,
        "maximum": 10.0,
        "help": "lambda, the weight of the data term: smaller gives smoother flow",
    },
    "tightness": {
        "default": 0.3,
        "minimum": 0.01,
        "maximum": 10.0,
        "help": "theta, how tightly the data term and the smooth flow are coupled",
    },
    "scales": {"default": 5, "minimum": 1, "maximum": 10, "help": "levels of the image pyramid"},
    "scale_step": {
        "default": 0.8,
        "minimum": 0.3,
        "maximum": 0.95,
        "help": "size of a level of the pyramid relative to the one below",
    },
    "warps": {
        "default": 5,
        "minimum": 1,
        "maximum": 50,
        "help": "times that each level warps the second frame",
    },
    "inner_iterations": {
        "default": 30,
        "minimum": 1,
        "maximum": 1000,
        "help": "inner iterations per outer one",
    },
    "outer_iterations": {"default": 10, "minimum": 1, "maximum": 1000, "help": "outer iterations per warp"},
    "stop": {
        "default": 0.01,
        "minimum": 0.0,
        "maximum": 1.0,
        "help": "epsilon, the change of flow below which iterations end: larger is faster and less precise",
    },
    "median_filter": {
        "default": 5,
        "choices": [1, 3, 5],
        "help": "width in pixels of the median filter after each outer iteration; 1 is none",
    },
}

# Clips are spread over the job's threads, so one call keeps to one thread.
cv2.setNumThreads(1)


def pairs(frames: np.ndarray, settings: dict[str, Any]) -> np.ndarray:
    """Motion between neighbouring frames.

    Args:
        frames: grey uint8 (N, H, W), N >= 1.
        settings: a complete set of SETTINGS.

    Returns:
        float32 (N - 1, H, W, 2): x (right) and y (down) displacement in pixels per frame; row t is the motion
        from frame t to t + 1 and depends on these two only.
    """
    method: Any = cv2.optflow.DualTVL1OpticalFlow.create(
        lambda_=settings["smoothness"],
        theta=settings["tightness"],
        nscales=settings["scales"],
        scaleStep=settings["scale_step"],
        warps=settings["warps"],
        innnerIterations=settings["inner_iterations"],  # OpenCV's own spelling
        outerIterations=settings["outer_iterations"],
        epsilon=settings["stop"],
        medianFiltering=settings["median_filter"],
    )
    flow = np.empty((len(frames) - 1, *frames.shape[1:], 2), np.float32)
    for row, (before, after) in enumerate(pairwise(frames)):
        flow[row] = method.calc(before, after, None)
    return flow
