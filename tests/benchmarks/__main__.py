"""`make bench`: the pipeline's speed as ratios against a peer or a physical floor, both timed in turn in one run.

Absolute times say more about the machine than about the code; ratios of CPU time stay comparable on shared machines.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.benchmarks import codecs
from tests.benchmarks.decoding import compare_decoding
from tests.benchmarks.embedding import compare_embedding
from tests.benchmarks.flow import compare_flow
from tests.benchmarks.learn.data import collection
from tests.benchmarks.sharing import compare_sharing
from tests.benchmarks.training import compare_training

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 3
VIDEOS = 60


def cpu_seconds() -> float:
    """CPU time of this process and of its ended children."""
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(found.ru_utime + found.ru_stime for found in usage)


def ratio(ours: Callable[[], object], floor: Callable[[], object]) -> tuple[float, float, float]:
    """Medians of CPU seconds of both over alternating rounds, and their ratio."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for taken, call in zip(times, (ours, floor), strict=True):
            started = cpu_seconds()
            call()
            taken.append(cpu_seconds() - started)
    first, second = (sorted(taken)[ROUNDS // 2] for taken in times)
    return first, second, first / second


def stage(name: str, settings: object, *arguments: str) -> None:
    command = [sys.executable, "-m", f"pipeline_src.stages.{name}", "--settings", json.dumps(settings), *arguments]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)


def decoding(folder: Path) -> tuple[str, str, Callable[[], object], Callable[[], object]]:
    from pipeline_src.clips.ffmpeg import ffmpeg_path

    plan, fetched = folder / "data/plan/000000.csv", folder / "fetched.csv"
    collection = {"source": {"kind": "folder", "path": str(folder / "videos")}, "plan": {"duration_s": None}}
    shards = str(folder / "data/plan/shards.json")
    where = ("--collection", "pool", "--folder", str(folder / "data"), "--out", shards)
    stage("plan_clips", {"collection": collection, "seed": 0}, *where)
    media = str(folder / "media")
    stage("fetch_clips", {"fetch": {}}, "--plan", str(plan), "--media", media, "--status", str(fetched))

    def ours() -> None:
        outputs = [("--frames", "frames.h5"), ("--sound", "sound.h5"), ("--status", "status.csv")]
        named = [part for option, name in outputs for part in (option, str(folder / name))]
        decode = {"decode": {"frame_rate": 12, "height": 64, "width": 64}}
        stage("decode_clips", decode, "--plan", str(plan), "--fetched", str(fetched), *named, "--threads", "1")

    def floor() -> None:
        for video in sorted((folder / "videos").glob("*.mp4")):
            bare = [ffmpeg_path(), "-v", "error", "-threads", "1", "-i", str(video), "-f", "null", "-"]
            subprocess.run(bare, check=True)

    return f"decode {VIDEOS} videos to a shard", "ffmpeg -f null on each", ours, floor


def flow(folder: Path) -> tuple[str, str, Callable[[], object], Callable[[], object]]:
    from pipeline_src.features.flow.dis import pairs
    from pipeline_src.features.grey import luma
    from pipeline_src.settings.features import FlowSettings
    from pipeline_src.shards.reader import ShardReader

    reader = ShardReader(folder / "frames.h5")
    clips = [luma(reader.read(row)) for row in range(len(reader.clip_ids))]
    settings = FlowSettings.model_validate({}).settings

    def ours() -> None:
        out = str(folder / "flow.h5")
        where = ("--frames", str(folder / "frames.h5"), "--out", out, "--status", str(folder / "status_flow.csv"))
        stage("extract_flow", {"flow": {}}, *where, "--threads", "1")

    def floor() -> None:
        for clip in clips:
            pairs(clip[:-1], clip[1:], settings)

    return f"DIS flow of {VIDEOS} clips at 64x64 to a shard", "the bare calls", ours, floor


def reading(folder: Path) -> tuple[str, str, Callable[[], object], Callable[[], object]]:
    from pipeline_src.shards.reader import ShardReader

    reader = ShardReader(folder / "frames.h5")
    frames = np.concatenate([reader.read(row) for row in range(len(reader.clip_ids))])
    np.save(folder / "frames.npy", frames)
    mapped = np.load(folder / "frames.npy", mmap_mode="r")
    random = np.random.default_rng(0)
    rows = random.integers(len(reader.clip_ids), size=3000)

    def ours() -> None:
        for row in rows:
            reader.read(int(row), 0, 8)

    def floor() -> None:
        for row in rows:
            np.array(mapped[int(row) * 8 : int(row) * 8 + 8])

    return "3,000 random windows of 8 frames from a shard", "copies from a memory map", ours, floor


def main() -> None:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = {"kind": "world", "videos": VIDEOS}
        where = ("--collection", "pool", "--threads", "1", "--out", str(folder / "videos"))
        stage("render_world", {"source": source, "seed": 0}, *where)
        print(f"{'ours':50} {'floor':50} {'CPU s':>8} {'CPU s':>8} {'ratio':>6}")
        for prepare in (decoding, flow, reading):
            ours, floor, run, run_floor = prepare(folder)
            first, second, times = ratio(run, run_floor)
            print(f"{ours:50} {floor:50} {first:8.2f} {second:8.2f} {times:6.2f}", flush=True)
        compare_flow(folder / "flow")
        codecs.compare(folder, folder / "videos")
        compare_decoding(folder / "decoding")
        compare_embedding(folder / "embedding")
    compare_training(collection("moving", "held_out"))
    compare_sharing()


if __name__ == "__main__":
    main()
