"""Embedding ten-second clips against bare decoding and the bare network, one after the other: wall time in turns."""

import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import av
import numpy as np
import torch

from pipeline_src.batches.windows import even_starts
from pipeline_src.clips.ffmpeg import ffmpeg_path
from pipeline_src.embedding.exported import ClipEncoder, load_exported
from pipeline_src.embedding.videos import embed_videos
from pipeline_src.networks.encoder import build_encoder
from pipeline_src.settings.clips import DecodeSettings
from tests.exported import make_export

VIDEOS, SECONDS, ROUNDS, BATCH = 24, 10, 3, 32
ARCHITECTURES = {"small_r3d": 128, "r3d_18": 512}


def compare_embedding(folder: Path) -> None:
    """Print what share of the bare speed embed_videos reaches, per architecture.

    Args:
        folder: for videos and encoders.
    """
    videos = [_video(folder / f"{number}.mp4", number) for number in range(VIDEOS)]
    for architecture, size in ARCHITECTURES.items():
        network = {"video": architecture, "width": 16}
        changed = {"network": network, "window": {}, "frame_rate": 12.0, "height": 128, "width": 128}
        encoder = build_encoder("rgb", architecture, 16).eval()
        decode = DecodeSettings()
        export = make_export(folder / architecture, encoder, decode, windows=3, embedding_size=size, **changed)
        exported = load_exported(export)
        few = videos if architecture == "small_r3d" else videos[: VIDEOS // 4]
        ours, bare = _in_turns(
            lambda exported=exported, few=few: list(embed_videos(few, exported, batch_size=BATCH)),
            lambda exported=exported, few=few: _bare(few, exported),
        )
        times = f"{len(few) / ours:.2f} clips/s, bare {len(few) / bare:.2f}: ratio {bare / ours:.2f}"
        print(f"embed clips of {SECONDS} s, {architecture}: {times}", flush=True)


def _video(path: Path, number: int) -> Path:
    source = f"testsrc2=s=320x240:r=25:d={SECONDS + number}"
    made = ["-f", "lavfi", "-i", source, "-ss", str(number), "-c:v", "libx264", "-pix_fmt", "yuv420p"]
    path.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([ffmpeg_path(), "-v", "error", "-y", *made, str(path)], check=True)
    return path


def _bare(videos: list[Path], encoder: ClipEncoder) -> None:
    """Decode with PyAV to the same rate and size, and run the network on the same windows in the same batches."""
    windows: list[np.ndarray] = []
    for number, video in enumerate(videos):
        frames: list[np.ndarray] = []
        with av.open(str(video)) as file:
            for picture in file.decode(video=0):
                if picture.time * encoder.format.frame_rate >= len(frames):
                    frames.append(picture.to_ndarray(format="rgb24", width=128, height=128)[8:120, 8:120])
        length = encoder.format.frames
        for start in even_starts(len(frames), length, encoder.format.windows):
            windows.append(np.stack(frames[start : start + length]))
        if len(windows) >= BATCH or number == len(videos) - 1:
            with torch.inference_mode():
                for part in torch.from_numpy(np.stack(windows)).permute(0, 4, 1, 2, 3).split(BATCH):
                    encoder(part)
            windows = []


def _in_turns(*calls: Callable[[], object]) -> list[float]:
    """Median seconds of each."""
    taken: list[list[float]] = [[] for _ in calls]
    for _ in range(ROUNDS):
        for times, call in zip(taken, calls, strict=True):
            started = time.perf_counter()
            call()
            times.append(time.perf_counter() - started)
    return [median(times) for times in taken]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        compare_embedding(Path(name))
