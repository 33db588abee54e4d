"""Total variation with an L1 data term (TV-L1): precise and slow optical flow.

Zach et al., A Duality Based Approach for Realtime TV-L1 Optical Flow, 2007.
"""

from typing import Any

import cv2
import numpy as np

SETTINGS: dict[str, dict[str, Any]] = {
    "tau": {"default": 0.25, "minimum": 0.001, "maximum": 0.25, "help": "time step; beyond 1/4 iterations may diverge"},
    "lambda": {
        "default": 0.15,
        "minimum": 0.001,
        "maximum": 10.0,
        "help": "weight of the data term: smaller gives smoother flow",
    },
    "theta": {
        "default": 0.3,
        "minimum": 0.01,
        "maximum": 10.0,
        "help": "how tightly the data term and the smooth flow are coupled",
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
    "epsilon": {
        "default": 0.01,
        "minimum": 0.0,
        "maximum": 1.0,
        "help": "change of flow in pixels below which iterations end: larger is faster and less precise",
    },
    "median_filter": {
        "default": 5,
        "choices": [1, 3, 5],
        "help": "width in pixels of the median filter after each outer iteration; 1 is none",
    },
}

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
    method: Any = cv2.optflow.DualTVL1OpticalFlow.create(
        tau=settings["tau"],
        lambda_=settings["lambda"],
        theta=settings["theta"],
        nscales=settings["scales"],
        scaleStep=settings["scale_step"],
        warps=settings["warps"],
        innnerIterations=settings["inner_iterations"],  # OpenCV's own spelling
        outerIterations=settings["outer_iterations"],
        epsilon=settings["epsilon"],
        medianFiltering=settings["median_filter"],
    )
    flow = np.empty((*before.shape, 2), np.float32)
    for target, first, second in zip(flow, before, after, strict=True):
        target[:] = method.calc(first, second, None)
    return flow
