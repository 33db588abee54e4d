"""From a piece of a video to the windows that an exported encoder sees, as the pipeline makes them of its shards."""

from dataclasses import dataclass

import numpy as np

from pipeline_src.batches.windows import even_starts, padded
from pipeline_src.clips.frames import read_frames
from pipeline_src.clips.limits import Refusal, examine
from pipeline_src.clips.rows import Status, short_reason
from pipeline_src.embedding.clip_format import ClipFormat
from pipeline_src.shards import jpeg

# Frames of a clip are held in memory until its length is known.
MOST_BYTES = 4 << 30


@dataclass(frozen=True)
class Clip:
    """A piece of a video: start in seconds after its first frame, length or None for the rest."""

    path: str
    start_s: float = 0.0
    duration_s: float | None = None


@dataclass(frozen=True)
class ClipWindows:
    """What became of a clip.

    Attributes:
        status: ok, or why there are no windows.
        reason: one short line; of an ok clip "", or what it lacks.
        duration_s: of the decoded piece; 0 where there is none.
        windows: (windows, T, crop, crop, 3) uint8 RGB.
    """

    status: Status
    reason: str
    duration_s: float
    windows: np.ndarray


def cut(path: str, format: ClipFormat, clip_duration_s: float) -> list[Clip]:
    """Pieces of equal length, one after the other; the last one is what is left.

    A file that cannot be decoded, or whose length is not known, is one piece.
    """
    found = examine(path, format, measure_duration=True)
    if isinstance(found, Refusal) or found.duration_s is None:
        return [Clip(path, 0.0, clip_duration_s)]
    # Less than a frame is no piece.
    count = max(1, int(np.ceil((found.duration_s - 1 / format.frame_rate) / clip_duration_s)))
    return [Clip(path, number * clip_duration_s, clip_duration_s) for number in range(count)]


def read_windows(clip: Clip, format: ClipFormat) -> ClipWindows:
    """Decode a clip and take its windows. No content of the file makes this raise."""
    found = examine(clip.path, format)
    if isinstance(found, Refusal):
        return failed(found.status, found.reason)
    limit = format.max_duration_s if clip.duration_s is None else min(clip.duration_s, format.max_duration_s)
    expected = min(limit, found.duration_s or limit)
    if expected * format.frame_rate * format.height * format.width * 3 > MOST_BYTES:
        return failed("over_limits", f"{expected:g} s are too much to hold - embed pieces, with a clip duration")
    try:
        frames = read_frames(clip.path, clip.start_s, limit, found, format, max_pixels=format.max_pixels)
    except (OSError, ValueError, ArithmeticError, MemoryError) as error:
        return failed("undecodable", short_reason(str(error) or "out of memory", clip.path))
    if not frames:
        return failed("undecodable", f"no frame from {clip.start_s:g} s on")
    cut_off = clip.duration_s is None and len(frames) == round(limit * format.frame_rate)
    reason = f"only its first {limit:g} s, decode.max_duration_s" if cut_off else ""
    return ClipWindows("ok", reason, len(frames) / format.frame_rate, _windows(frames, format))


def failed(status: Status, reason: str) -> ClipWindows:
    """A clip without windows."""
    return ClipWindows(status, reason, 0.0, np.zeros((0, 0, 0, 0, 3), np.uint8))


def _windows(frames: list[np.ndarray], format: ClipFormat) -> np.ndarray:
    starts = np.array(even_starts(len(frames), format.frames, format.windows))
    wanted = padded(starts[:, None] + np.arange(format.frames), len(frames), format.padding)
    top, left = (format.height - format.crop) // 2, (format.width - format.crop) // 2
    shown = {}
    for number in set(wanted.ravel().tolist()):
        picture = _stored(frames[number], format)
        shown[number] = picture[top : top + format.crop, left : left + format.crop]
    return np.stack([[shown[number] for number in window] for window in wanted.tolist()])


def _stored(picture: np.ndarray, format: ClipFormat) -> np.ndarray:
    """As it comes back from a shard: the network has learned from pictures with JPEG's losses."""
    if format.codec != "jpeg":
        return picture
    back = np.empty_like(picture)
    jpeg.decode(jpeg.encode(np.ascontiguousarray(picture), format.jpeg_quality), back)
    return back
