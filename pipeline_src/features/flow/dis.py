"""Dense inverse search (DIS): fast optical flow.

Kroeger et al., Fast Optical Flow using Dense Inverse Search, 2016.
"""

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


def pairs(before: np.ndarray, after: np.ndarray, settings: dict[str, Any]) -> np.ndarray:
    """Motion between pairs of frames.

    Args:
        before, after: grey uint8 (N, H, W) each.
        settings: a complete set of SETTINGS.

    Returns:
        float32 (N, H, W, 2): x (right) and y (down) displacement in pixels from before to after; each pair's depends on
        its own two frames only.

    Raises:
        UserError: frames whose size the preset cannot work on.
    """
    flow = np.empty((*before.shape, 2), np.float32)
    for target, first, second in zip(flow, before, after, strict=True):
        # A used object may choose other scales for the same pair, so each pair gets its own.
        method: Any = cv2.DISOpticalFlow.create(PRESETS[settings["preset"]])
        try:
            target[:] = method.calc(first, second, None)
        except cv2.error as error:
            raise UserError(
                f"flow.settings.preset: {settings['preset']!r} cannot work on frames of {before.shape[1]} x"
                f" {before.shape[2]} pixels - allowed: preset medium, method tvl1 or a squarer decode size"
            ) from error
    return flow
