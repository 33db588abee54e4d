"""Which decoded frame shows a picture of a video: ffmpeg's own arithmetic, for what is read beside its frames."""

import math
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

MICRO = 1_000_000
# What ffmpeg takes for the longest time by which pictures are decoded before they are shown.
REORDERING_US = 3 * MICRO // 23


class FrameClock:
    """Output frames of a clip that starts `start_s` after the first picture and has `frame_rate` frames per second.

    Args:
        file: the open container.
        stream: its video.
        start_s: start of the clip after the first picture, in seconds.
        delay_s: how long after the file's own start the video starts, in seconds.
        frame_rate: of the output.
    """

    def __init__(
        self, file: "InputContainer", stream: "VideoStream", start_s: float, delay_s: float, frame_rate: float
    ) -> None:
        self._file, self._stream = file, stream
        self._unit = Fraction(stream.time_base or Fraction(1, MICRO))
        self._rate = Fraction(repr(frame_rate))
        # As in decoding: a clip from the first picture on is read without a seek, and a filter subtracts the delay.
        seek = start_s + delay_s if start_s > 0 else 0.0
        self._origin_us = (file.start_time or 0) + round(seek * MICRO)
        self._shift = 0.0 if seek else float(f"{delay_s:.6f}")
        self._sought = seek > 0
        # AVI has no times of display: those of decoding count, as in ffmpeg.
        self._by_order = "avi" in file.format.name

    def seek(self) -> None:
        """Go to the key picture before the clip from which ffmpeg decodes.

        Containers that are searched by times of decoding are searched a little earlier where pictures are reordered.
        """
        if not self._sought:
            return
        from av.format import Flags

        delayed = any(stream.codec_context and stream.codec_context.has_b_frames for stream in self._file.streams.video)
        by_decoding = not Flags(self._file.format.flags) & Flags.seek_to_pts
        self._file.seek(self._origin_us - (REORDERING_US if delayed and by_decoding else 0))

    def frames_of(self, seconds: float) -> float:
        """Output frames in a time."""
        return float(self._rate) * seconds

    def frame_of(self, picture: "VideoFrame") -> int | None:
        """The first output frame that shows a picture; None without a time, negative before the clip.

        It is shown until the next picture's; where two have the same, only the second is shown.
        """
        ticks = self.ticks_of(picture)
        if ticks is None:
            return None
        frame = _nearest(ticks * self._unit * self._rate)
        return min(frame, -1) if self.precedes(ticks) else frame

    def ticks_of(self, picture: "VideoFrame") -> int | None:
        """When a picture is shown, in the stream's own unit after the clip's start; None without a time."""
        pts = picture.dts if self._by_order else picture.pts
        if pts is None:
            return None
        ticks = pts - _nearest(Fraction(self._origin_us, MICRO) / self._unit)
        return int(ticks - self._shift / float(self._unit)) if self._shift else ticks

    def precedes(self, ticks: int) -> bool:
        """Whether a picture of that time was read only to decode the clip."""
        return self._sought and ticks < 0


def _nearest(value: Fraction) -> int:
    """Rounded, halves away from zero."""
    rounded = math.floor(abs(value) + Fraction(1, 2))
    return rounded if value >= 0 else -rounded
