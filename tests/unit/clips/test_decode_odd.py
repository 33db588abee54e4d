"""Unusual real files come out as a plain ffmpeg command line shows them, or as a status row with its reason."""

import csv
import subprocess
from pathlib import Path

import numpy as np
import pytest

from pipeline_src.clips.decode import DecodeTask, decode_clip
from pipeline_src.clips.ffmpeg import ffmpeg_path
from pipeline_src.clips.probe import ProbeError, probe
from pipeline_src.settings.clips import DecodeSettings

ODD = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "odd"
FILES = [row["file"] for row in csv.DictReader((ODD / "odd.csv").open())] if ODD.is_dir() else []
SIZE, RATE = 64, 10


def shown_by_ffmpeg(path: Path, rounding: str = "") -> np.ndarray:
    """Frames of the same stream at the same rate, (T, SIZE, SIZE, 3); T = 0 where ffmpeg shows nothing."""
    found = probe(str(path))
    stream = found.video_index
    deinterlace = "bwdif=deint=interlaced:mode=send_frame," if min(found.width, found.height) >= 4 else ""
    chain = f"{deinterlace}fps={RATE}{rounding},scale={SIZE}:{SIZE}:flags=bicubic"
    command = [ffmpeg_path(), "-v", "error", "-nostdin", "-i", f"file:{path}", "-map", f"0:{stream}", "-vf", chain]
    command += ["-t", "60", "-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    out = subprocess.run(command, capture_output=True, timeout=120).stdout
    whole = len(out) // (SIZE * SIZE * 3)
    return np.frombuffer(out, np.uint8, whole * SIZE * SIZE * 3).reshape(whole, SIZE, SIZE, 3)


@pytest.mark.skipif(not FILES, reason="needs shared/data/odd beside the checkout")
@pytest.mark.parametrize("name", FILES)
def test_a_file_looks_as_in_ffmpeg_or_says_why_not(name: str) -> None:
    settings = DecodeSettings(frame_rate=RATE, height=SIZE, width=SIZE, fit="stretch", max_duration_s=60, timeout_s=120)
    found = decode_clip(DecodeTask(str(ODD / name), 0.0, None), settings, ffmpeg_path())
    try:
        wanted = shown_by_ffmpeg(ODD / name)
        if not len(wanted):  # A video shorter than half a frame period has a frame, too.
            wanted = shown_by_ffmpeg(ODD / name, ":round=up:eof_action=pass")
    except ProbeError:
        assert (found.status, len(found.frames)) == ("undecodable", 0)
        assert found.reason
        return
    if found.status != "ok":
        assert len(wanted) == 0 or found.status == "over_limits", (found.reason, len(wanted))
        assert found.reason
        return
    assert abs(len(found.frames) - len(wanted)) <= 1, (len(found.frames), len(wanted))
    count = min(len(found.frames), len(wanted))
    difference = np.abs(found.frames[:count].astype(int) - wanted[:count]).mean((1, 2, 3))
    assert difference.mean() < 1.5
    assert np.quantile(difference, 0.95) < 3
