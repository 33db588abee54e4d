"""Whether a file may be decoded, asked before any work is spent on it."""

import os
from dataclasses import dataclass
from typing import Protocol

from pipeline_src.clips.probe import Probe, ProbeError, probe
from pipeline_src.clips.rows import Status


class Limits(Protocol):
    """The largest file, picture and number of streams; as in DecodeSettings."""

    @property
    def max_bytes(self) -> int: ...  # noqa: D102
    @property
    def max_pixels(self) -> int: ...  # noqa: D102
    @property
    def max_streams(self) -> int: ...  # noqa: D102


@dataclass(frozen=True)
class Refusal:
    """Why a file is not decoded: its status, and one short line."""

    status: Status
    reason: str


def examine(path: str, limits: Limits, *, measure_duration: bool = False) -> Probe | Refusal:
    """What a local file holds, or why it is not decoded.

    Args:
        path: the file.
        limits: files beyond them are refused.
        measure_duration: as for probe.
    """
    if not os.path.isfile(path):
        return Refusal("missing", "no such file")
    size = os.path.getsize(path)
    if size > limits.max_bytes:
        return Refusal("over_limits", f"{size} bytes, more than decode.max_bytes {limits.max_bytes}")
    try:
        found = probe(path, measure_duration=measure_duration, max_pixels=limits.max_pixels)
    except ProbeError as error:
        return Refusal("undecodable", str(error))
    if found.streams > limits.max_streams:
        return Refusal("over_limits", f"{found.streams} streams, more than decode.max_streams {limits.max_streams}")
    if found.video_index is None:
        return Refusal("no_video", "the file has no video stream")
    if found.width * found.height > limits.max_pixels:
        size_text = f"{found.width}x{found.height} pixels"
        return Refusal("over_limits", f"{size_text}, more than decode.max_pixels {limits.max_pixels}")
    return found
