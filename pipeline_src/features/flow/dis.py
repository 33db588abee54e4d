"""Dense inverse search (DIS): fast optical flow.

Kroeger et al., Fast Optical Flow using Dense Inverse Search, 2016.
"""

from itertools import pairwise
from typing import Any

import cv2
import numpy as np

from pipeline_src.errors import UserError

SETTINGS: dict[str, dict[str, Any]] = {
    "preset": {
        "default": "medium",
        "choices": ["ultrafast", "fast", "medium"],
        "help": "OpenCV's preset: ultrafast does no variational refinement, medium searches finer patches",
    },
}

PRESETS = {
    "ultrafast": cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
    "fast": cv2.DISOPTICAL_FLOW_PRESET_FAST,
    "medium": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
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

    Raises:
        UserError: frames whose size the preset cannot work on.
    """
    flow = np.empty((len(frames) - 1, *frames.shape[1:], 2), np.float32)
    for row, (before, after) in enumerate(pairwise(frames)):
        # A used object may choose other scales for the same pair, so each pair gets its own.
        method: Any = cv2.DISOpticalFlow.create(PRESETS[settings["preset"]])
        try:
            flow[row] = method.calc(before, after, None)
        except cv2.error as error:
            raise UserError(
                f"flow.settings.preset: {settings['preset']!r} cannot work on frames of {frames.shape[1]} x"
                f" {frames.shape[2]} pixels - allowed: preset medium, method tvl1 or a squarer decode size"
            ) from error
    return flow
