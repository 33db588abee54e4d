"""Frames of a clip by PyAV alone: those that the ffmpeg program gives in decode.py, where there is no such program.

The same filters run over the same pictures, whose times FrameClock knows. Equal to the last bit, as tests show, where
the file decodes without errors. Versions of ffmpeg differ in what they make of damage, and of the first picture of
interlaced video.
"""

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline_src.clips.filters import FrameFormat, picture_filters
from pipeline_src.clips.probe import FORMATS, Probe
from pipeline_src.clips.timing import FrameClock

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.filter import Graph
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream


def read_frames(
    path: str, start_s: float, duration_s: float, found: Probe, frames: FrameFormat, *, max_pixels: int
) -> list[np.ndarray]:
    """Frames of a piece of a local file, each (height, width, 3) uint8 RGB; [] where it has none.

    Args:
        path: the file, which `examine` has let through.
        start_s: start in seconds after the first picture.
        duration_s: longest length in seconds.
        found: what `examine` says.
        frames: their rate and size.
        max_pixels: larger pictures are not decoded.

    Raises:
        av.error.FFmpegError, ValueError: the file cannot be read.
    """
    import av
    import av.logging

    av.logging.set_level(av.logging.PANIC)
    for last_resort in (False, True):
        options = {"protocol_whitelist": "file", "format_whitelist": FORMATS, "max_pixels": str(max_pixels)}
        with av.open(f"file:{path}", options=options, metadata_errors="replace") as file:
            got = _read(file, start_s, duration_s, found, frames, last_resort=last_resort)
        if got:
            return got
    return []


def _read(
    file: "InputContainer", start_s: float, duration_s: float, found: Probe, frames: FrameFormat, *, last_resort: bool
) -> list[np.ndarray]:
    count = max(1, round(duration_s * frames.frame_rate))
    assert found.video_index is not None
    stream: VideoStream = file.streams[found.video_index]  # type: ignore[assignment]
    stream.codec_context.thread_count = 1
    clock = FrameClock(file, stream, start_s, found.delay_s, frames.frame_rate)
    clock.seek()
    chain = _Chain(picture_filters(frames, found, last_resort=last_resort), stream)
    got: list[np.ndarray] = []
    for place, shown in chain.run(_timed(file, stream, clock)):
        if place < 0:
            continue
        # A late first frame is held from 0 on.
        got += [got[-1] if got else shown] * (min(place, count) - len(got))
        if len(got) == count:
            break
        if place == len(got):
            got.append(shown)
    return got[:count]


def _timed(file: "InputContainer", stream: "VideoStream", clock: FrameClock) -> Iterator["VideoFrame"]:
    """Pictures with times from the clip's start on, in the stream's unit, and how long each is shown."""
    rate = stream.average_rate
    usual = max(1, round(1 / (rate * stream.time_base))) if rate and stream.time_base else 1
    before, shown = None, usual
    for picture in _pictures(file, stream):
        ticks = clock.ticks_of(picture)
        if ticks is None:
            # The last ones of some files: each follows the one before it.
            ticks = 0 if before is None else before + shown
        apart = 0 if before is None else ticks - before
        shown = picture.duration or (apart if apart > 0 else usual)
        before = ticks
        if not clock.precedes(ticks):
            picture.pts, picture.duration = ticks, shown
            yield picture


def _pictures(file: "InputContainer", stream: "VideoStream") -> Iterator["VideoFrame"]:
    """All pictures that can be decoded; as ffmpeg does, damaged ones are passed over."""
    import av

    packets = file.demux(stream)
    while True:
        try:
            packet = next(packets)
        except (StopIteration, av.error.FFmpegError):
            return
        try:
            yield from packet.decode()
        except av.error.FFmpegError:
            continue


class _Chain:
    """Filters over pictures, set up again where these change their kind."""

    def __init__(self, filters: list[tuple[str, dict[str, Any]]], stream: "VideoStream") -> None:
        self._filters = filters
        self._source = {"time_base": stream.time_base or Fraction(1, 1000), "sar": stream.sample_aspect_ratio or "0/1"}

    def run(self, pictures: Iterator["VideoFrame"]) -> Iterator[tuple[int, np.ndarray]]:
        """Number and pixels of each frame."""
        graph: Graph | None = None
        kind: object = None
        for picture in pictures:
            colours = {"colorspace": int(picture.colorspace), "range": int(picture.color_range)}
            size = {"width": picture.width, "height": picture.height, "pix_fmt": picture.format.name}
            upright = _upright(picture)
            if graph is None or kind != (colours, size, upright):
                yield from _rest(graph)
                kind = (colours, size, upright)
                graph = _graph([("buffer", {**self._source, **size, **colours}), *upright, *self._filters])
            graph.vpush(picture)
            yield from _pulled(graph)
        yield from _rest(graph)


def _graph(filters: list[tuple[str, dict[str, Any]]]) -> "Graph":
    from av.filter import Graph

    graph = Graph()
    graph.threads = 1
    nodes = [graph.add(name, **{key: str(value) for key, value in options.items()}) for name, options in filters]
    graph.link_nodes(*nodes, graph.add("buffersink")).configure()
    return graph


def _pulled(graph: "Graph") -> Iterator[tuple[int, np.ndarray]]:
    from av.error import BlockingIOError, EOFError

    while True:
        try:
            frame = graph.vpull()
        except (BlockingIOError, EOFError):
            return
        if frame.pts is not None:
            yield frame.pts, frame.to_ndarray()


def _rest(graph: "Graph | None") -> Iterator[tuple[int, np.ndarray]]:
    if graph is not None:
        graph.vpush(None)
        yield from _pulled(graph)


def _upright(picture: "VideoFrame") -> list[tuple[str, dict[str, Any]]]:
    """Filters that turn a picture as its file says it is shown, as the ffmpeg program does by itself."""
    held: Any = picture.side_data
    stated = next((bytes(data) for data in held if data.type.name == "DISPLAYMATRIX"), b"")
    if len(stated) < 36:
        return []
    matrix = np.frombuffer(stated[:36], np.int32)
    if not (matrix[[0, 3]].any() and matrix[[1, 4]].any()):
        return []  # Not invertible: no angle at all.
    angle = -picture.rotation % 360
    if angle == 90:
        return [("transpose", {"dir": "cclock_flip" if matrix[3] > 0 else "clock"})]
    if angle == 270:
        return [("transpose", {"dir": "clock_flip" if matrix[3] < 0 else "cclock"})]
    if angle not in (0, 180):
        return [("rotate", {"angle": f"{angle}*PI/180"})]
    across, down = angle == 180 and matrix[0] < 0, matrix[4] < 0
    return [(name, {}) for name, wanted in (("hflip", across), ("vflip", down)) if wanted]
