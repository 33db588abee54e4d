"""What a video file says about itself, read before any work is spent on it."""

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from pipeline_src.clips.rows import short_reason

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

# Containers of one self-contained file. Playlists and other lists of files or addresses (hls, dash, concat,
# sdp, imf, image sequences) are not among them: a file must not make ffmpeg open anything but itself.
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,mpegvideo,asf,flv,live_flv,kux,ogg,gif,mxf,dv,rm,h261,h263,"
    "h264,hevc,vvc,av1,obu,ivf,yuv4mpegpipe,mjpeg,m4v,nut,nsv,wtv,amr,swf,vc1,dirac,gxf,pva,nuv,apng,"
    "mp3,wav,flac,aac,ac3,eac3,aiff"
)
OPEN_TIMEOUT_S = 20.0
# A file with fewer bits a second than this over its stated duration states it wrongly.
LEAST_BITS_PER_SECOND = 500
LARGEST_SCAN_BYTES = 200_000_000
# Opening a file decodes its first pictures: no larger ones, whatever the file states.
LARGEST_PICTURE = 8192 * 4320
# Transfer functions of high dynamic range by their numbers in ITU-T H.273.
HDR: dict[int, Literal["pq", "hlg"]] = {16: "pq", 18: "hlg"}


class ProbeError(Exception):
    """The file cannot be opened as a video container."""


@dataclass(frozen=True)
class Probe:
    """What a file holds.

    Attributes:
        video_index: index of the largest video stream that is no cover picture; None without one.
        audio_index: index of the best audio stream; None without one.
        width, height: size of the video's frames in pixels as stated; 0 where the file does not say.
        delay_s: how long after the file's own start the video starts, in seconds.
        duration_s: length of the video in seconds; None where the file does not say or states nonsense.
        streams: number of streams of any kind.
        hdr: transfer function of a high dynamic range; "" for ordinary video.
    """

    video_index: int | None
    audio_index: int | None
    width: int
    height: int
    delay_s: float
    duration_s: float | None
    streams: int = 1
    hdr: Literal["", "pq", "hlg"] = ""


def probe(path: str, *, measure_duration: bool = False, max_pixels: int = LARGEST_PICTURE) -> Probe:
    """Read the headers of a local file.

    Args:
        path: the file.
        measure_duration: where the duration is unknown, read the times of all packets of a file of moderate
            size.
        max_pixels: larger pictures are not decoded; their stated size is returned.

    Raises:
        ProbeError: not a video container, or a kind that is not read; the message is one short line.
    """
    import av
    import av.logging

    av.logging.set_level(av.logging.PANIC)
    options = {"protocol_whitelist": "file", "format_whitelist": FORMATS, "max_pixels": str(max_pixels)}
    try:
        size = os.stat(path).st_size
        with av.open(f"file:{path}", options=options, timeout=OPEN_TIMEOUT_S, metadata_errors="replace") as container:
            found = describe(container, size)
            index = found.video_index
            if measure_duration and index is not None and found.duration_s is None and size <= LARGEST_SCAN_BYTES:
                return replace(found, duration_s=_measured(container, index))
            return found
    except (av.error.FFmpegError, OSError, ValueError, ArithmeticError) as error:
        message = getattr(error, "strerror", None) or str(error)
        if isinstance(error, av.error.ArgumentError):
            message = "a playlist, or another format that is not read"
        raise ProbeError(short_reason(f"cannot be opened: {message}", path)) from error


def describe(container: "InputContainer", size: int) -> Probe:
    """What an open container of `size` bytes holds."""
    from av.stream import Disposition

    still = Disposition.attached_pic | Disposition.timed_thumbnails
    videos = [stream for stream in container.streams.video if not stream.disposition & still]
    video = max(videos, key=_area) if videos else None
    context = video.codec_context if video is not None else None
    audio = container.streams.best("audio")
    delay = 0.0
    duration = None
    if video is not None:
        if video.start_time is not None and video.time_base and container.start_time is not None:
            delay = max(0.0, float(video.start_time * video.time_base) - container.start_time / 1e6)
        if video.duration and video.time_base:
            duration = float(video.duration * video.time_base)
        elif container.duration:
            duration = container.duration / 1e6 - delay
        if duration is not None and (duration <= 0 or size * 8 < duration * LEAST_BITS_PER_SECOND):
            duration = None
    return Probe(
        video_index=None if video is None else video.index,
        audio_index=None if audio is None else audio.index,
        width=context.width if context is not None else 0,
        height=context.height if context is not None else 0,
        delay_s=delay,
        duration_s=duration,
        streams=len(container.streams),
        hdr=HDR.get(int(context.color_trc), "") if context is not None else "",
    )


def _area(video: "VideoStream") -> int:
    context = video.codec_context  # None where no such codec is known.
    return context.width * context.height if context is not None else 0


def _measured(container: "InputContainer", index: int) -> float | None:
    import av

    first, last = float("inf"), float("-inf")
    try:
        for packet in container.demux(container.streams[index]):
            if packet.pts is not None and packet.time_base:
                start = float(packet.pts * packet.time_base)
                first = min(first, start)
                last = max(last, start + float((packet.duration or 0) * packet.time_base))
    except av.error.FFmpegError:
        pass  # A cut-off file: what came before the cut still counts.
    return last - first if last > first else None
