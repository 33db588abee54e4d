"""The decode stage against plain ffmpeg with the same filters: wall time on all cores, in turns, and memory."""

import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil

from pipeline_src.clips.ffmpeg import ffmpeg_path

ROOT = Path(__file__).resolve().parents[2]
REAL = ROOT.parent / "shared" / "data" / "real"
ROUNDS = 3
CLIPS, WIDE_CLIPS, SHARD = 256, 48, 1000
CORES = len(os.sched_getaffinity(0))
SETTINGS = {"frame_rate": 12, "height": 128, "width": 128}
# What the stage does to a picture: even frames, a square cut from the middle, 128x128 RGB.
FILTERS = (
    "bwdif=mode=send_frame:deint=interlaced,fps=12:eof_action=round,crop=w='min(iw,ih/sar)':h='min(ih,iw*sar)':exact=1,"
    "scale=128:128:flags=bicubic+accurate_rnd+bitexact,format=rgb24"
)
SOUND = "aresample=16000:async=1:first_pts=0,aformat=sample_fmts=s16:channel_layouts=mono"
Clip = tuple[Path, float, float | None]


def encode(folder: Path, size: str, videos: int) -> list[Clip]:
    """Videos of the built-in world, enlarged to `size`, 2 s each with sound."""
    source = {"kind": "world", "videos": min(videos, 24), "size": 240, "frame_rate": 25, "seconds": [2, 2]}
    command = [sys.executable, "-m", "pipeline_src.stages.render_world", "--settings", json.dumps({"source": source})]
    command += ["--collection", "pool", "--threads", str(CORES), "--out", str(folder / "world")]
    if not (folder / "world").exists():
        call(command)
    (folder / size).mkdir(exist_ok=True)
    made: list[Clip] = []
    for path in sorted((folder / "world").glob("*.mp4")):
        out = folder / size / path.name
        scaled = [
            "-vf",
            f"scale={size.replace('x', ':')}:force_original_aspect_ratio=increase,crop={size.replace('x', ':')}",
        ]
        subprocess.run([ffmpeg_path(), "-v", "error", "-i", path, *scaled, "-c:a", "copy", out], check=True)
        made.append((out, 0.0, None))
    return (made * (videos // len(made) + 1))[:videos]


def sections(path: Path, length_s: float, seconds: float) -> list[Clip]:
    return [(path, start * seconds, seconds) for start in range(int(length_s // seconds))]


def small_clips(folder: Path) -> tuple[str, list[Clip]]:
    """320x240: short action clips, and 10 s pieces of a longer video."""
    if not (REAL / "actions").is_dir():
        return "built-in world", encode(folder, "320x240", CLIPS)
    actions: list[Clip] = [(path, 0.0, None) for path in sorted((REAL / "actions").glob("*/*.mp4"))]
    pieces = sections(REAL / "long" / "sample_iPod.m4v", 85, 10)
    return "actions, long", (actions[: CLIPS - 4 * len(pieces)] + pieces * 4)[:CLIPS]


def wide_clips(folder: Path) -> tuple[str, list[Clip]]:
    """1280x720 with sound, pieces of 4 s."""
    if not (REAL / "long").is_dir():
        return "built-in world", encode(folder, "1280x720", WIDE_CLIPS)
    names = (("vid_h264.mp4", 13.5), ("big_buck_bunny_0_30.webm", 30.0))
    pieces = [piece for name, length in names for piece in sections(REAL / "long" / name, length, 4.0)]
    return "long", (pieces * WIDE_CLIPS)[:WIDE_CLIPS]


def stage(folder: Path, clips: Sequence[Clip]) -> list[str]:
    """The stage's command line as the workflow runs it."""
    folder.mkdir(exist_ok=True)
    with open(folder / "plan.csv", "w", newline="") as plan, open(folder / "fetched.csv", "w", newline="") as fetched:
        planned, arrived = csv.writer(plan), csv.writer(fetched)
        planned.writerow(("clip_id", "path", "start_s", "duration_s", "source_video", "content", "label"))
        arrived.writerow(("clip_id", "status", "reason", "file", "start_s", "video_start_s"))
        for number, (path, start, duration) in enumerate(clips):
            planned.writerow((f"c{number}", path, start, duration or "", path, "", ""))
            arrived.writerow((f"c{number}", "ok", "", path, start, start))
    command = [sys.executable, "-m", "pipeline_src.stages.decode_clips", "--settings", json.dumps({"decode": SETTINGS})]
    command += ["--plan", str(folder / "plan.csv"), "--fetched", str(folder / "fetched.csv"), "--threads", str(CORES)]
    for name in ("frames.h5", "sound.h5", "status.csv"):
        command += [f"--{name.partition('.')[0]}", str(folder / name)]
    return command


def call(command: Sequence[str]) -> None:
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)


def plain(clips: Sequence[Clip]) -> Callable[[], object]:
    """One ffmpeg per clip with the same filters, as many at a time as there are cores."""

    def convert(clip: Clip) -> None:
        path, start, duration = clip
        piece = ["-ss", str(start)] * (start > 0) + (["-t", str(duration)] if duration else [])
        command = [ffmpeg_path(), "-v", "error", "-nostdin", "-threads", "1", *piece, "-i", str(path)]
        subprocess.run([*command, "-vf", FILTERS, "-af", SOUND, "-sn", "-dn", "-f", "null", "-"], check=True)

    def run() -> None:
        with ThreadPoolExecutor(CORES) as pool:
            list(pool.map(convert, clips))

    return run


def in_turns(ours: Callable[[], object], floor: Callable[[], object]) -> tuple[float, float]:
    """Medians of the wall times in seconds over alternating rounds."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for taken, call in zip(times, (ours, floor), strict=True):
            started = time.monotonic()
            call()
            taken.append(time.monotonic() - started)
    return sorted(times[0])[ROUNDS // 2], sorted(times[1])[ROUNDS // 2]


def peak_mb(command: Sequence[str]) -> tuple[float, float]:
    """Largest resident memory in MiB: of the stage alone, and summed over it and its ffmpeg processes."""
    process = psutil.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    alone = together = 0
    while process.poll() is None:
        sizes = []
        for each in (process, *process.children()):
            with suppress(psutil.Error):
                sizes.append(each.memory_info().rss)
        alone, together = max(alone, *sizes[:1]), max(together, sum(sizes))
        time.sleep(0.02)
    if process.returncode:
        raise RuntimeError(f"decode_clips ended with {process.returncode}")
    return alone / 2**20, together / 2**20


def compare_decoding(folder: Path) -> None:
    """Print the stage's speed as a fraction of plain ffmpeg's, and its memory for a shard of 1,000 clips."""
    folder.mkdir()
    for size, make in (("320x240", small_clips), ("1280x720", wide_clips)):
        origin, clips = make(folder)
        command = stage(folder / size.partition("x")[0], clips)
        ours, floor = in_turns(lambda command=command: call(command), plain(clips))
        name = f"decode {len(clips)} clips of {size} ({origin}), wall"
        print(
            f"{name:50} {'ffmpeg, same filters, all cores':50} {ours:8.2f} {floor:8.2f} {ours / floor:6.2f}", flush=True
        )
    _, clips = small_clips(folder)
    alone, together = peak_mb(stage(folder / "shard", (clips * (SHARD // len(clips) + 1))[:SHARD]))
    print(
        f"memory of a shard of {SHARD} clips: {alone:.0f} MiB, with its ffmpeg processes {together:.0f} MiB", flush=True
    )
