"""Copy a section of a video out of files that are read piece by piece, without decoding it."""

import heapq
import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from pipeline_src.clips.outcomes import NoVideoError, TooShortError
from pipeline_src.clips.probe import FORMATS, describe

if TYPE_CHECKING:
    from av import Packet
    from av.container import InputContainer
    from av.stream import Stream

# Pictures are stored out of order and sound comes in pieces: so much more than the section is copied.
MARGIN = Fraction(1)
# How far before the section its key frame is looked for in files whose index is bad.
LOOK_BACK_S = (0, 4, 20, 10**9)


class CopyError(Exception):
    """The streams cannot be copied into a file of their own."""


class Video:
    """A video whose picture and sound lie in one or two files.

    Args:
        files: the file with the picture, and possibly another one with the sound.
        stated_s: its length as its page states it; a file that knows better wins.

    Attributes:
        length_s: in seconds; None where nobody says.

    Raises:
        NoVideoError: the first file is no video.
    """

    def __init__(self, files: Sequence[BinaryIO | io.RawIOBase], stated_s: float | None = None) -> None:
        self._stack = ExitStack()
        self._read = False
        try:
            sizes = [file.seek(0, io.SEEK_END) for file in files]
            self._containers = [self._open(file) for file in files]
            self._probes = [describe(found, size) for found, size in zip(self._containers, sizes, strict=True)]
        except BaseException:
            self._stack.close()
            raise
        if self._probes[0].video_index is None:
            self.close()
            raise NoVideoError("no video stream")
        self.length_s = self._probes[0].duration_s or stated_s

    def __enter__(self) -> "Video":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the files' readers."""
        self._stack.close()

    def copy(self, start_s: float, duration_s: float | None, out: Path) -> float:
        """Write the section to a file of the kind that keeps its times and rotation, from the key frame before it on.

        Args:
            start_s: in seconds after the first frame.
            duration_s: None for everything from there on.
            out: the file.

        Returns:
            Where the section starts in the file, in seconds after its first frame.

        Raises:
            TooShortError: the video ends before.
            CopyError: this file's streams cannot be copied.
        """
        import av

        try:
            return self._copy(start_s, duration_s, out)
        except (av.error.FFmpegError, ValueError, ArithmeticError) as error:
            raise CopyError(str(error)) from error

    def _copy(self, start_s: float, duration_s: float | None, out: Path) -> float:
        import av

        streams = self._streams()
        picture = streams[0][0]
        base = _time(picture.start_time or 0, picture)
        start = base + Fraction(start_s)
        end = None if duration_s is None else start + Fraction(duration_s) + MARGIN
        if start_s == 0 and self._read:
            for place, found in enumerate(streams):
                self._seek(place, found[0], base) if found else None
        self._read = True
        first = self._key_frame_before(picture, start) if start_s > 0 else None
        if first is None and start_s > 0:
            raise TooShortError(f"it ends before {start_s:g} s")
        zero = _packet_time(first) if first is not None else None
        copied = 0
        # Each keeps the rotation and the exact times of its own kind.
        kind = "mov" if "mov" in self._containers[0].format.name else "matroska"
        with av.open(str(out), "w", format=kind) as target:
            made = {
                stream: target.add_stream_from_template(stream, opaque=True) for found in streams for stream in found
            }
            parts = [self._packets(place, found, zero, end) for place, found in enumerate(streams) if found]
            for packet in heapq.merge(*(_decodable(part) for part in parts), key=_packet_time):
                stream = packet.stream
                if zero is not None:
                    shift = int(zero / _time(1, stream))
                    packet.dts = (packet.dts or 0) - shift
                    packet.pts = None if packet.pts is None else packet.pts - shift
                copied += stream is picture
                packet.stream = made[stream]
                target.mux(packet)
        if not copied:
            raise TooShortError(f"it ends before {start_s:g} s")
        return float(start - zero) if zero is not None else 0.0

    def _key_frame_before(self, picture: "Stream", start: Fraction) -> "Packet | None":
        """The packet that the section must begin with; of files that cannot seek well, a much earlier one."""
        for back in LOOK_BACK_S:
            self._seek(0, picture, start - back)
            for packet in self._containers[0].demux(picture):
                if packet.is_keyframe and _has_time(packet):
                    if _packet_time(packet) <= start or back == LOOK_BACK_S[-1]:
                        return packet
                    break
        return None

    def _packets(
        self, place: int, streams: Sequence["Stream"], zero: Fraction | None, end: Fraction | None
    ) -> Iterator["Packet"]:
        """Packets of one file's streams from `zero` on, until all of them have passed `end`."""
        import av

        if zero is not None:
            self._seek(place, streams[0], zero)
        going = set(streams)
        try:
            for packet in self._containers[place].demux(*streams):
                if not _has_time(packet) or (zero is not None and _packet_time(packet) < zero):
                    continue
                if end is None or _packet_time(packet) <= end:
                    yield packet
                    continue
                going.discard(packet.stream)
                if not going:
                    return
        except av.error.FFmpegError:
            return  # A damaged file: what came before the damage still counts.

    def _seek(self, place: int, stream: "Stream", time: Fraction) -> None:
        import av

        with suppress(av.error.FFmpegError):  # Where seeking is impossible, reading starts at the beginning.
            self._containers[place].seek(int(time / _time(1, stream)), stream=stream, backward=True)

    def _open(self, file: BinaryIO | io.RawIOBase) -> "InputContainer":
        import av
        import av.logging

        av.logging.set_level(av.logging.PANIC)
        # No protocol at all: a container can open nothing but the file that it is read from.
        options = {"protocol_whitelist": "none", "format_whitelist": FORMATS}
        file.seek(0)
        try:
            found = av.open(file, "r", options=options, metadata_errors="replace", buffer_size=65536)
        except (av.error.FFmpegError, ValueError, ArithmeticError) as error:
            raise NoVideoError(f"cannot be opened as a video: {getattr(error, 'strerror', None) or error}") from error
        return self._stack.enter_context(found)

    def _streams(self) -> list[list[Any]]:
        """Streams to copy by file: the picture first, and the sound of the first file that has any."""
        chosen: list[list[Any]] = [[] for _ in self._containers]
        picture = self._probes[0].video_index
        assert picture is not None
        chosen[0].append(self._containers[0].streams[picture])
        for place, found in enumerate(self._probes):
            if found.audio_index is not None:
                chosen[place].append(self._containers[place].streams[found.audio_index])
                break
        return chosen


def _time(ticks: int, stream: "Stream") -> Fraction:
    return Fraction(ticks) * (stream.time_base or Fraction(1, 1000))


def _has_time(packet: "Packet") -> bool:
    """Whether this is a piece of the stream; the last packet of all only tells the end."""
    return packet.pts is not None or packet.dts is not None


def _decodable(packets: Iterable["Packet"]) -> Iterator["Packet"]:
    """The same packets, with a time of decoding for those that have none.

    After a seek, Matroska knows none until some pictures have been read.
    """
    waiting: list[Packet] = []
    for packet in packets:
        waiting.append(packet)
        if packet.dts is None:
            continue
        earlier = [other for other in waiting[:-1] if other.stream is packet.stream]
        for place, other in enumerate(earlier):
            other.dts = min(packet.dts - len(earlier) + place, other.pts or 0)
        if all(other.dts is not None for other in waiting):
            yield from waiting
            waiting = []
    for packet in waiting:
        packet.dts = packet.pts if packet.dts is None else packet.dts
        yield packet


def _packet_time(packet: "Packet") -> Fraction:
    """When the packet's picture or sound is shown; when it is decoded, where the file does not say."""
    ticks = packet.dts if packet.pts is None else packet.pts
    return _time(ticks or 0, packet.stream)
