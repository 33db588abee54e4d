"""Videos to frames of constant rate and size and to mono sound on the same clock, one ffmpeg per clip."""

import mmap
import os
import select
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import numpy as np

from pipeline_src.clips.ffmpeg import ffmpeg_path
from pipeline_src.clips.filters import picture_filters
from pipeline_src.clips.limits import Refusal, examine
from pipeline_src.clips.probe import FORMATS, Probe
from pipeline_src.clips.rows import Status, short_reason
from pipeline_src.errors import DiskFullError
from pipeline_src.settings.clips import DecodeSettings

R = TypeVar("R")

# ffmpeg reads this much further than the clip, so that frames displayed out of coded order are not cut off.
READ_MARGIN_S = 1.0
LARGEST_MESSAGE = 8192
# Tasks in hand beyond those that run, so that threads go on while a shard is written.
SPARE_TASKS = 2
HELD_BYTES = 128 << 20


@dataclass(frozen=True)
class DecodeTask:
    """A clip of a local file: start in seconds after the first frame, length or None for the rest."""

    path: str
    start_s: float
    duration_s: float | None


@dataclass(frozen=True)
class Decoded:
    """What became of a clip.

    Attributes:
        status: ok, or why there are no frames.
        reason: one short line; "" when ok.
        frames: (T, height, width, 3) uint8 RGB; T = 0 unless ok.
        sound: (samples,) int16 with round(T / frame_rate * sound_rate) samples; none where the file has
            no sound in this piece.
    """

    status: Status
    reason: str
    frames: np.ndarray
    sound: np.ndarray


def _itself(decoded: Decoded) -> Any:
    return decoded


def decode_all(
    tasks: Iterable[DecodeTask],
    settings: DecodeSettings,
    threads: int,
    *,
    with_sound: bool = True,
    then: Callable[[Decoded], R] = _itself,
) -> Iterator[R]:
    """Decode clips with `threads` at a time and yield, in order, what `then` makes of them in its thread.

    Those behind a slow clip go on meanwhile, until finished ones that wait for it stem from HELD_BYTES of frames:
    memory stays steady whatever the number of tasks.
    """
    binary = ffmpeg_path()
    source = iter(tasks)
    waiting: deque[Future[tuple[int, R]]] = deque()

    def work(task: DecodeTask) -> tuple[int, R]:
        decoded = decode_clip(task, settings, binary, with_sound=with_sound)
        return decoded.frames.nbytes, then(decoded)

    more = True
    # One more than there are cores: each pauses while its ffmpeg starts and ends.
    with ThreadPoolExecutor(threads + 1) as pool:
        try:
            while True:
                finished = [future for future in waiting if future.done()]
                held = sum(future.result()[0] for future in finished)
                room = threads + SPARE_TASKS - (len(waiting) - len(finished)) if held < HELD_BYTES else 0
                for task in islice(source, room) if more else ():
                    waiting.append(pool.submit(work, task))
                    room -= 1
                more = more and room <= 0
                if not waiting:
                    return
                if waiting[0].done():
                    yield waiting.popleft().result()[1]
                else:
                    wait([future for future in waiting if not future.done()], return_when=FIRST_COMPLETED)
        finally:
            for future in waiting:
                future.cancel()


def decode_clip(task: DecodeTask, settings: DecodeSettings, binary: str, *, with_sound: bool = True) -> Decoded:
    """Decode one clip of a local file. No content of the file makes this raise; a full disk is a UserError.

    Args:
        task: the file and the piece of it.
        settings: frame rate and size, sound rate and limits.
        binary: path of the ffmpeg program.
        with_sound: False leaves the sound away.
    """
    found = examine(task.path, settings)
    if isinstance(found, Refusal):
        return _failed(found.status, found.reason, settings)
    deadline = time.monotonic() + settings.timeout_s
    result = _attempt(task, found, settings, binary, deadline, with_sound=with_sound, last_resort=False)
    if result.status == "undecodable":
        # A sound track that ffmpeg cannot decode ends the whole run; a clip shorter than half a frame period
        # rounds to no frame. Without sound and with rounding up, either still gives its frames.
        second = _attempt(task, found, settings, binary, deadline, with_sound=False, last_resort=True)
        return second if second.status == "ok" else result
    return result


def _attempt(
    task: DecodeTask,
    found: Probe,
    settings: DecodeSettings,
    binary: str,
    deadline: float,
    *,
    with_sound: bool,
    last_resort: bool,
) -> Decoded:
    limit = settings.max_duration_s if task.duration_s is None else min(task.duration_s, settings.max_duration_s)
    shape = (max(1, round(limit * settings.frame_rate)), settings.height, settings.width, 3)
    with ExitStack() as stack:
        pictures = stack.enter_context(_memory_file())
        sounds = stack.enter_context(_memory_file()) if with_sound and found.audio_index is not None else None
        command = _command(task, found, settings, binary, limit, shape[0], pictures, sounds, last_resort=last_resort)
        message, late = _run(command, [pictures] if sounds is None else [pictures, sounds], deadline)
        if "No space left on device" in message:
            folder = tempfile.gettempdir()
            raise DiskFullError(f"{folder}: no disk space left for a decoded clip; free some or set TMPDIR")
        if late:
            return _failed("timed_out", f"longer than decode.timeout_s {settings.timeout_s:g}", settings)
        frames = _read_frames(pictures, shape)
        if not len(frames):
            reason = short_reason(message, task.path) or f"no frame from {task.start_s:g} s on"
            return _failed("undecodable", reason, settings)
        samples = round(len(frames) / settings.frame_rate * settings.sound_rate)
        return Decoded("ok", "", frames, _read_sound(sounds, samples))


def _command(
    task: DecodeTask,
    found: Probe,
    settings: DecodeSettings,
    binary: str,
    limit: float,
    count: int,
    pictures: int,
    sounds: int | None,
    *,
    last_resort: bool,
) -> list[str]:
    """The ffmpeg call. Time 0 of both outputs is the clip's start; a stream that begins late is filled up."""
    import ffmpeg

    # Without a seek ffmpeg's clock starts with the earliest stream, so a filter subtracts the video's delay:
    # seeking to a place so near the start would lose frames of files without an index.
    seek = task.start_s + found.delay_s if task.start_s > 0 else 0.0
    shift = 0.0 if seek else found.delay_s
    options: dict[str, Any] = {"ss": f"{seek:.6f}"} if seek else {}
    source = ffmpeg.input(
        f"file:{task.path}",
        t=f"{limit + shift + READ_MARGIN_S:.6f}",
        protocol_whitelist="file",
        format_whitelist=FORMATS,
        max_pixels=settings.max_pixels,
        threads=1,
        **options,
    )
    picture = source[str(found.video_index)]
    if shift:
        picture = picture.filter("setpts", f"PTS-{shift:.6f}/TB")
    for name, filter_options in picture_filters(settings, found, last_resort=last_resort):
        picture = picture.filter(name, **filter_options)
    outputs = [
        ffmpeg.output(
            picture,
            f"pipe:{pictures}",
            format="rawvideo",
            pix_fmt="rgb24",
            r=repr(settings.frame_rate),
            # A late first frame is held from 0 on. The fps filter's start_time would do that, but begin anew where the
            # pictures change their size and filters are set up again.
            **{"frames:v": count, "fps_mode": "cfr"},
        )
    ]
    if sounds is not None:
        sound = source[str(found.audio_index)]
        if shift:
            sound = sound.filter("asetpts", f"PTS-{shift:.6f}/TB")
        # first_pts=0 fills a late start with silence and cuts what comes before the clip; async=1 fills gaps.
        sound = sound.filter("aresample", settings.sound_rate, **{"async": 1, "first_pts": 0})
        sound = sound.filter("aformat", sample_fmts="s16", channel_layouts="mono")
        outputs.append(ffmpeg.output(sound, f"pipe:{sounds}", format="s16le", t=f"{limit:.6f}"))
    graph = ffmpeg.merge_outputs(*outputs) if len(outputs) > 1 else outputs[0]
    front = [
        binary,
        "-hide_banner",
        "-nostdin",
        "-v",
        "error",
        "-filter_threads",
        "1",
        "-filter_complex_threads",
        "1",
    ]
    return [str(part) for part in graph.compile(cmd=front)]


@contextmanager
def _memory_file() -> Iterator[int]:
    """Descriptor of a file without a name for what ffmpeg decodes: a pipe would wake both sides for every frame."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("decoded")
        try:
            yield descriptor
        finally:
            os.close(descriptor)
    else:
        with tempfile.TemporaryFile() as file:
            yield file.fileno()


def _run(command: list[str], outputs: list[int], deadline: float) -> tuple[str, bool]:
    """Run ffmpeg, which writes to the descriptors `outputs`.

    Returns:
        ffmpeg's first messages, and whether the deadline passed.
    """
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, pass_fds=outputs
    )
    assert process.stderr is not None
    message = b""
    late = False
    try:
        ready = select.poll()
        ready.register(process.stderr)
        while not late:
            late = not ready.poll(max(0.0, deadline - time.monotonic()) * 1000)
            piece = b"" if late else os.read(process.stderr.fileno(), 65536)
            if not piece:
                break
            # The first messages say what is wrong; a broken file can make ffmpeg write millions.
            message += piece[: LARGEST_MESSAGE - len(message)]
        if not late:
            process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        late = True
    finally:
        process.kill()
        process.wait()
        process.stderr.close()
    return message.decode(errors="replace"), late


def _read_frames(file: int, shape: tuple[int, ...]) -> np.ndarray:
    """The whole frames of a file of raw ones, at most shape[0], as a view of the file's memory."""
    size = int(np.prod(shape[1:]))
    whole = min(shape[0], os.fstat(file).st_size // size)
    if not whole:
        return np.zeros((0, *shape[1:]), np.uint8)
    return np.frombuffer(mmap.mmap(file, whole * size), np.uint8).reshape(whole, *shape[1:])


def _read_sound(file: int | None, samples: int) -> np.ndarray:
    """The sound, cut or filled with silence to `samples`; empty where nothing was decoded."""
    if file is None:
        return np.zeros(0, np.int16)
    sound = np.frombuffer(os.pread(file, samples * 2, 0), "<i2").astype(np.int16)
    if not len(sound) or int(np.abs(sound.astype(np.int32)).max()) <= 1:
        return np.zeros(0, np.int16)  # No track, or a muted one: networks must not learn from silence.
    return np.pad(sound, (0, samples - len(sound)))


def _failed(status: Status, reason: str, settings: DecodeSettings) -> Decoded:
    return Decoded(status, reason, np.zeros((0, settings.height, settings.width, 3), np.uint8), np.zeros(0, np.int16))
