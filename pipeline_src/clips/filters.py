"""What is done to a clip's pictures, as names and options of ffmpeg's filters: the same in its program and in PyAV."""

from typing import Any, Protocol

from pipeline_src.clips.dynamic_range import standard_range
from pipeline_src.clips.probe import Probe

# The deinterlacer refuses pictures with fewer lines.
LEAST_INTERLACED = 4


class FrameFormat(Protocol):
    """Frames per second, size in pixels, and crop or stretch; as in DecodeSettings."""

    @property
    def frame_rate(self) -> float: ...  # noqa: D102
    @property
    def height(self) -> int: ...  # noqa: D102
    @property
    def width(self) -> int: ...  # noqa: D102
    @property
    def fit(self) -> str: ...  # noqa: D102


def picture_filters(frames: FrameFormat, found: Probe, *, last_resort: bool) -> list[tuple[str, dict[str, Any]]]:
    """Filters from pictures as decoded to frames of constant rate and size, 8-bit RGB.

    Args:
        frames: what comes out.
        found: the file.
        last_resort: round up, so that a clip shorter than half a frame period gives a frame.
    """
    filters: list[tuple[str, dict[str, Any]]] = []
    if min(found.width, found.height) >= LEAST_INTERLACED and not last_resort:
        # Before frames are dropped and lines scaled; frames that are not flagged as interlaced pass unchanged.
        filters.append(("bwdif", {"mode": "send_frame", "deint": "interlaced"}))
    rounding = {"round": "up", "eof_action": "pass"} if last_resort else {"round": "near", "eof_action": "round"}
    filters.append(("fps", {"fps": repr(frames.frame_rate), **rounding}))
    return [*filters, *_fitted(frames, found.hdr), ("format", {"pix_fmts": "rgb24"})]


def _fitted(frames: FrameFormat, hdr: str) -> list[tuple[str, dict[str, Any]]]:
    """Cut to the target's proportions, taking pixels that are not square into account, then scale.

    Cutting first keeps every intermediate picture smaller than the source, whatever a file states.
    """
    filters: list[tuple[str, dict[str, Any]]] = []
    if frames.fit == "crop":
        aspect = f"{frames.width}/{frames.height}"
        size = {"w": f"max(1,min(iw,ih*{aspect}/sar))", "h": f"max(1,min(ih,iw*sar/({aspect})))"}
        filters.append(("crop", {**size, "exact": 1}))
    colours = {"in_color_matrix": "bt2020"} if hdr else {}
    scaling = {"w": frames.width, "h": frames.height, "flags": "bicubic+accurate_rnd+bitexact"}
    return [*filters, ("scale", {**scaling, **colours}), *(standard_range(hdr) if hdr else [])]
