"""Raw frames and sound to an H.264 and AAC file, with the same bytes every time."""

import subprocess
import tempfile
import wave
from fractions import Fraction
from pathlib import Path

import ffmpeg
import numpy as np
import numpy.typing as npt

from pipeline_src.clips.world_sound import SAMPLE_RATE
from pipeline_src.errors import UserError

TIMEOUT_S = 600.0


def encode_video(
    path: Path,
    frames: npt.NDArray[np.uint8],
    frame_rate: float,
    sound: npt.NDArray[np.int16] | None,
    program: str,
) -> None:
    """Write an MP4 file.

    Args:
        path: the file.
        frames: (T, H, W, 3) RGB, H and W even.
        frame_rate: frames per second.
        sound: mono at SAMPLE_RATE; None leaves the file without a sound track.
        program: ffmpeg.

    Raises:
        UserError: ffmpeg fails or does not end.
    """
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        sound_path = None
        if sound is not None:
            sound_path = Path(scratch) / "sound.wav"
            with wave.open(str(sound_path), "wb") as out:
                out.setnchannels(1)
                out.setsampwidth(2)
                out.setframerate(SAMPLE_RATE)
                out.writeframes(sound.tobytes())
        command = _command(path, frames.shape[2], frames.shape[1], frame_rate, sound_path, program)
        try:
            run = subprocess.run(command, input=frames.tobytes(), capture_output=True, timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            raise UserError(f"{program}: no end after {TIMEOUT_S:g} s of encoding {path.name}") from error
    if run.returncode != 0:
        lines = run.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
        raise UserError(
            f"{program}: cannot encode {path.name} ({lines[0]}); needed: an ffmpeg with libx264 and aac, and disk space"
        )


def _command(path: Path, width: int, height: int, frame_rate: float, sound: Path | None, program: str) -> list[str]:
    """ffmpeg's arguments: raw frames come from standard input.

    One thread and no version strings, so that the same input gives the same bytes.
    """
    rate = str(Fraction(frame_rate).limit_denominator(1001))
    raw = {"format": "rawvideo", "pixel_format": "rgb24", "video_size": (width, height), "framerate": rate}
    streams = [ffmpeg.input("pipe:", **raw)]
    options = {
        "vcodec": "libx264",
        "preset": "ultrafast",
        "crf": 20,
        "pix_fmt": "yuv420p",
        "threads": 1,
        "filter_threads": 1,
        "map_metadata": -1,
        "fflags": "+bitexact",
        "flags:v": "+bitexact",
    }
    if sound is not None:
        streams.append(ffmpeg.input(f"file:{sound}"))
        options |= {"acodec": "aac", "audio_bitrate": "64k", "aac_coder": "fast", "flags:a": "+bitexact"}
    made = ffmpeg.output(*streams, f"file:{path}", **options).global_args("-v", "error", "-nostdin")
    return [str(part) for part in ffmpeg.compile(made, cmd=program, overwrite_output=True)]
