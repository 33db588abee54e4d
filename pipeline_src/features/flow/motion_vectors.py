"""Motion vectors of compressed video as flow: what the encoder has found, read without any work on pixels.

A block's vector leads to where it was copied from, in a picture that may be several frames away: each gives the speed
of its block, and the speeds of all pictures between two frames add up to the flow between them. Speeds are known in
cells of 8 pixels; between cells they are interpolated. Blocks that were coded without prediction do not move. Pictures
without vectors repeat the speeds before them, or, where none refers to them, those of the next reference picture.

    C. Wu et al., Compressed Video Action Recognition, 2018.
"""

import os
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import repeat
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from pipeline_src.clips.decode import DecodeTask
from pipeline_src.clips.probe import FORMATS, OPEN_TIMEOUT_S, describe
from pipeline_src.clips.timing import FrameClock
from pipeline_src.settings.clips import DecodeSettings

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

READS_MEDIA = True
SETTINGS: dict[str, dict[str, Any]] = {
    "smoothing": {
        "default": True,
        "choices": [True, False],
        "help": "interpolate between the vectors of neighbouring cells; without, each cell of 8 pixels moves as one",
    },
}

CELL = 8
# No picture refers to one that is farther away in order of display.
REACH = 16
# Times that step back farther do not stem from reordered pictures: they begin anew, where files were joined.
LARGEST_STEP_BACK_S = 1.0


class NoVectorsError(Exception):
    """The video has no motion vectors that can be read."""


@dataclass(frozen=True)
class _Picture:
    """A picture of the compressed video.

    Attributes:
        place: its number in order of display.
        decoded: its number in order of decoding; it refers to earlier ones only.
        shown: the first output frame that shows it.
        reference: whether others may refer to it.
        height, width: in pixels.
        turns: quarter turns counterclockwise by which it is shown.
        vectors: PyAV's table; None where it has none.
    """

    place: int
    decoded: int
    shown: int
    reference: bool
    height: int
    width: int
    turns: int
    vectors: np.ndarray | None


def clip(task: DecodeTask, frames: int, decode: DecodeSettings, settings: dict[str, Any]) -> Iterator[np.ndarray]:
    """Flow of a clip in the geometry of its decoded frames, one by one.

    Args:
        task: the clip, as it was decoded.
        frames: how many frames were decoded of it.
        decode: how it was decoded.
        settings: a complete set of SETTINGS.

    Yields:
        frames - 1 times float32 (height, width, 2): x (right) and y (down) displacement in pixels; number t is the
        motion from frame t to t + 1, zero where both show the same picture.

    Raises:
        NoVectorsError: at the latest in the end: the codec has none, or the video is interlaced, mirrored, turned by an
            odd angle, joined from several or damaged.
    """
    import av
    import av.logging

    still = np.zeros((decode.height, decode.width, 2), np.float32)
    done = 0
    av.logging.set_level(av.logging.PANIC)
    options = {"protocol_whitelist": "file", "format_whitelist": FORMATS, "max_pixels": str(decode.max_pixels)}
    try:
        with av.open(f"file:{task.path}", options=options, timeout=OPEN_TIMEOUT_S, metadata_errors="replace") as file:
            found = describe(file, os.path.getsize(task.path))
            if found.video_index is None:
                raise NoVectorsError("the file has no video stream")
            stream: Any = file.streams[found.video_index]
            clock = FrameClock(file, stream, task.start_s, found.delay_s, decode.frame_rate)
            ratio = stream.sample_aspect_ratio or Fraction(1)
            codec, any_vectors = stream.codec_context.name, False
            moved: np.ndarray | None = None
            for picture, speed, last in _speeds(_pictures(file, stream, clock, frames, decode.timeout_s)):
                any_vectors |= picture.vectors is not None
                if moved is not None:
                    # What moved before pictures change their size is lost.
                    moved = speed if moved.shape != speed.shape else moved + speed
                if last:
                    if moved is not None and done < picture.shown < frames:
                        yield from repeat(still, picture.shown - 1 - done)
                        yield _fitted(moved, picture, ratio, decode, settings)
                        done = picture.shown
                    # Frames before the first picture of the clip show that one, too.
                    moved = np.zeros_like(speed) if picture.shown >= 0 else None
    except (av.error.FFmpegError, OSError, ValueError, ArithmeticError) as error:
        raise NoVectorsError(f"cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if not any_vectors and frames > 1:
        raise NoVectorsError(
            f"no motion vectors in this part of the video (codec {codec}); methods dis, farneback and tvl1 work on any"
        )
    yield from repeat(still, frames - 1 - done)


def _pictures(
    file: "InputContainer", stream: "VideoStream", clock: FrameClock, frames: int, timeout_s: float
) -> Iterator[_Picture]:
    """Pictures in order of display, from the last key picture before the clip to those that its last frame needs."""
    import av
    from av.video.frame import PictureType

    # Pixels are of no interest: leave away what changes these alone. Threads would hold pictures back.
    stream.codec_context.options = {"flags2": "+export_mvs", "skip_loop_filter": "all", "skip_idct": "all"}
    stream.codec_context.thread_count = 1
    nal = _length_size(stream)
    deadline = time.monotonic() + timeout_s
    clock.seek()
    decoded: dict[int | None, tuple[int, bool | None]] = {}
    place = beyond = highest = 0
    codec = stream.codec_context.name
    for number, packet in enumerate(file.demux(stream)):
        if time.monotonic() > deadline:
            raise NoVectorsError(f"longer than decode.timeout_s {timeout_s:g}")
        if packet.pts is not None:
            reference = _is_reference(bytes(packet), nal) if codec == "h264" else None
            decoded[packet.pts] = (number, reference)
        try:
            arrived: list[VideoFrame] = packet.decode()
        except av.error.FFmpegError:
            continue  # A damaged picture: ffmpeg goes on with the next, too.
        for frame in arrived:
            shown = clock.frame_of(frame)
            if shown is None:
                continue
            highest = max(highest, shown)
            if shown < highest - clock.frames_of(LARGEST_STEP_BACK_S):
                raise NoVectorsError("its times jump back")
            if frame.interlaced_frame:
                raise NoVectorsError("interlaced: its vectors belong to half pictures")
            order, reference = decoded.pop(frame.pts, (number, None))
            if reference is None:
                reference = frame.pict_type != PictureType.B
            side = frame.side_data.get("MOTION_VECTORS")
            # libavcodec exports nothing but zeros for B pictures of MPEG-4 part 2.
            empty = codec == "mpeg4" and frame.pict_type == PictureType.B
            vectors = None if side is None or not len(side) or empty else side.to_ndarray()
            yield _Picture(place, order, shown, reference, frame.height, frame.width, _turns(frame), vectors)
            place += 1
            beyond += shown >= frames
            if beyond > REACH:
                return


def _speeds(pictures: Iterator[_Picture]) -> Iterator[tuple[_Picture, np.ndarray, bool]]:
    """Each picture, the motion (rows, columns, 2) of its cells since the one before, and whether a frame shows it."""
    near: deque[_Picture] = deque()
    speed = np.zeros((0, 0, 2), np.float32)
    current = 0
    more = True
    while True:
        while more and len(near) <= current + REACH:
            arrived = next(pictures, None)
            more = arrived is not None
            if arrived is not None:
                near.append(arrived)
        if current >= len(near):
            return
        picture = near[current]
        shape = (-(-picture.height // CELL), -(-picture.width // CELL), 2)
        if speed.shape != shape:
            speed = np.zeros(shape, np.float32)
        # The vectors of a reference picture span all since the one before: between both, they tell of the others, too.
        later = (other for other in near if other.place > picture.place and other.reference)
        told = picture if picture.vectors is not None or picture.reference else next(later, picture)
        if told.vectors is not None and (told.height, told.width) == (picture.height, picture.width):
            speed = _speed(told, near, shape)
        after = near[current + 1] if current + 1 < len(near) else None
        yield picture, speed, after is None or after.shown > picture.shown
        current += 1
        if current > REACH:
            near.popleft()
            current -= 1


def _speed(picture: _Picture, near: deque[_Picture], shape: tuple[int, ...]) -> np.ndarray:
    """Pixels per picture of each cell: its vectors divided by the distance to what they refer to, and averaged.

    Which picture a vector refers to is not told: it is taken to be the nearest one in its direction.
    """
    assert picture.vectors is not None
    distances = [other.place - picture.place for other in near if other.reference and other.decoded < picture.decoded]
    past = min((-distance for distance in distances if distance < 0), default=1)
    future = min((distance for distance in distances if distance > 0), default=1)
    table = picture.vectors
    factor = np.where(table["source"] < 0, -1 / past, 1 / future) / np.maximum(table["motion_scale"], 1)
    motion = np.stack([table["motion_x"] * factor, table["motion_y"] * factor])
    # PyAV's 16 bits would not hold the number of a cell of a large picture.
    left, top = (table[place].astype(np.int64) - table[size] // 2 for place, size in (("dst_x", "w"), ("dst_y", "h")))
    total, count = np.zeros((2, shape[0] * shape[1])), np.zeros(shape[0] * shape[1])
    for down in range(0, int(table["h"].max()), CELL):
        for right in range(0, int(table["w"].max()), CELL):
            row, column = (top + down) // CELL, (left + right) // CELL
            inside = (down < table["h"]) & (right < table["w"])
            inside &= (row >= 0) & (row < shape[0]) & (column >= 0) & (column < shape[1])
            cells = (row * shape[1] + column)[inside]
            count += np.bincount(cells, minlength=len(count))
            for axis in (0, 1):
                total[axis] += np.bincount(cells, motion[axis][inside], len(count))
    return (total / np.maximum(count, 1)).T.reshape(shape).astype(np.float32)


def _fitted(
    moved: np.ndarray, picture: _Picture, ratio: Fraction, decode: DecodeSettings, settings: dict[str, Any]
) -> np.ndarray:
    """Cells of the coded picture as a decoded frame (height, width, 2): turned, cut and scaled as decoding does it."""
    turns = picture.turns
    width, height, sar = picture.width, picture.height, float(ratio)
    if turns % 2:
        width, height, sar = height, width, 1 / sar
    wide, high = width, height
    if decode.fit == "crop":
        aspect = decode.width / decode.height
        wide = max(1, int(min(width, height * aspect / sar)))
        high = max(1, int(min(height, width * sar / aspect)))
    x = (width - wide) // 2 + (np.arange(decode.width, dtype=np.float32)[None] + 0.5) * (wide / decode.width)
    y = (height - high) // 2 + (np.arange(decode.height, dtype=np.float32)[:, None] + 0.5) * (high / decode.height)
    x, y = np.broadcast_arrays(x, y)
    # Where the shown picture's points lie in the coded one.
    x, y = ((x, y), (picture.width - y, x), (picture.width - x, picture.height - y), (y, picture.height - x))[turns]
    cells = [np.ascontiguousarray(place / CELL - 0.5, np.float32) for place in (x, y)]
    how = cv2.INTER_LINEAR if settings["smoothing"] else cv2.INTER_NEAREST
    found = cv2.remap(moved, cells[0], cells[1], how, borderMode=cv2.BORDER_REPLICATE)
    right, down = found[..., 0], found[..., 1]
    right, down = ((right, down), (down, -right), (-right, -down), (-down, right))[turns]
    return np.stack([right * (decode.width / wide), down * (decode.height / high)], axis=-1)


def _turns(frame: "VideoFrame") -> int:
    """Quarter turns counterclockwise by which a picture is shown; a degree more or less is none, as in ffmpeg."""
    side: Any = frame.side_data.get("DISPLAYMATRIX")
    if side is None:
        return 0
    a, b, _, c, d, *_ = (int(value) for value in np.frombuffer(bytes(side), np.int32))
    turns = round(frame.rotation / 90)
    if abs(frame.rotation - 90 * turns) > 1 or abs(turns) > 4 or a * d - b * c < 0:
        raise NoVectorsError("shown mirrored or turned by an odd angle")
    return turns % 4


def _length_size(stream: "VideoStream") -> int:
    """Bytes of the length before each unit of H.264; 0 where units are divided by start codes."""
    extra = stream.codec_context.extradata
    return (extra[4] & 3) + 1 if extra and len(extra) > 4 and extra[0] == 1 else 0


def _is_reference(packet: bytes, length_size: int) -> bool:
    """Whether other pictures of H.264 may refer to this one: nal_ref_idc of its first slice (H.264, 7.3.1)."""
    place = 0
    while place < len(packet):
        if length_size:
            size = int.from_bytes(packet[place : place + length_size], "big")
            start = place + length_size
            place = start + size
        else:
            start = packet.find(b"\x00\x00\x01", place) + 3
            if start < 3:
                break
            place = start
        if start < len(packet) and packet[start] & 31 in (1, 2, 5):
            return bool(packet[start] & 96)
    return True
