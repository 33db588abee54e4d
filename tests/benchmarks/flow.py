"""Flow methods in frames per second: the bare call on one core, and the stage on all, which has to keep them busy."""

import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
SIZES = (128, 224)
# Pairs of frames for about ten seconds of each method's work at the smaller size.
PAIRS = {"dis": 3000, "farneback": 3000, "tvl1": 48, "tvl1_torch": 160}
CLIP = 17
RATE = 24


def compare_flow(folder: Path, methods: tuple[str, ...] = (*PAIRS, "motion_vectors")) -> None:
    """Print the table.

    Args:
        folder: for files; made.
        methods: rows.
    """
    folder.mkdir()
    cores = len(os.sched_getaffinity(0))
    _render(folder)
    print(f"\n{'flow, frames per second':34} {'one core':>10} {f'stage, {cores} cores':>16} {'of cores x one':>15}")
    for size in SIZES:
        grey = _decoded(folder, size)
        for method in methods:
            bare, stage = (_vectors if method == "motion_vectors" else _pairs)(folder, method, size, grey, cores)
            print(
                f"{method:20} {size:4} x {size:3}    {bare:10.1f} {stage:16.1f} {stage / bare / cores:15.2f}",
                flush=True,
            )


def _stage(name: str, settings: object, *arguments: object) -> float:
    command = [sys.executable, "-m", f"pipeline_src.stages.{name}", "--settings", json.dumps(settings)]
    started = time.perf_counter()
    subprocess.run([*command, *map(str, arguments)], cwd=ROOT, check=True, capture_output=True)
    return time.perf_counter() - started


def _render(folder: Path) -> None:
    source = {"kind": "world", "videos": 24, "size": 256, "seconds": [6.0, 6.0]}
    where = ("--collection", "pool", "--threads", "2", "--out", folder / "videos")
    _stage("render_world", {"source": source, "seed": 0}, *where)
    collection = {"source": {"kind": "folder", "path": str(folder / "videos")}, "plan": {"duration_s": None}}
    shards = ("--folder", folder, "--out", folder / "plan/shards.json")
    _stage("plan_clips", {"collection": collection, "seed": 0}, "--collection", "pool", *shards)
    plan = folder / "plan/000000.csv"
    media = ("--media", folder / "media", "--status", folder / "fetched.csv")
    _stage("fetch_clips", {"fetch": {}}, "--plan", plan, *media)


def _decoded(folder: Path, size: int) -> np.ndarray:
    """Grey frames of the rendered videos, which are also decoded into a shard, as clips of CLIP frames."""
    from pipeline_src.features.grey import luma
    from pipeline_src.shards.reader import ShardReader

    decode = {"decode": {"frame_rate": RATE, "height": size, "width": size}}
    outputs = ("--frames", folder / f"frames_{size}.h5", "--status", folder / "status.csv", "--threads", 2)
    _stage("decode_clips", decode, "--plan", folder / "plan/000000.csv", "--fetched", folder / "fetched.csv", *outputs)
    reader = ShardReader(folder / f"frames_{size}.h5")
    clips = [luma(reader.read(row, 0, CLIP)) for row in range(len(reader.clip_ids))]
    return np.stack(clips)


def _pairs(folder: Path, method: str, size: int, grey: np.ndarray, cores: int) -> tuple[float, float]:
    from pipeline_src.settings.features import FlowSettings
    from pipeline_src.shards.writer import ShardWriter

    settings = FlowSettings.model_validate({"method": method})
    call = importlib.import_module(f"pipeline_src.features.flow.{method}").pairs
    blocks = max(2, round(PAIRS[method] * (SIZES[0] / size) ** 2 / (CLIP - 1)))
    call(grey[0][:1], grey[0][1:2], settings.settings)

    def bare() -> None:
        for number in range(blocks):
            clip = grey[number % len(grey)]
            call(clip[:-1], clip[1:], settings.settings)

    shard = folder / f"{method}_{size}.h5"
    attributes = {"frame_rate": float(RATE)}
    with ShardWriter(
        shard, modality="frames", item_shape=(size, size, 3), dtype="uint8", codec="jpeg", attributes=attributes
    ) as writer:
        for number in range(cores * blocks):
            writer.add(f"clip-{number}", np.repeat(grey[number % len(grey)][..., None], 3, axis=-1))
    rates = _rates(bare, blocks * (CLIP - 1), cores, _extract(folder, {"flow": {"method": method}}, shard, cores))
    shard.unlink()
    return rates


def _vectors(folder: Path, method: str, size: int, grey: np.ndarray, cores: int) -> tuple[float, float]:
    from pipeline_src.clips.decode import DecodeTask
    from pipeline_src.clips.rows import read_status
    from pipeline_src.features.flow import motion_vectors
    from pipeline_src.settings import catalogue
    from pipeline_src.settings.clips import DecodeSettings
    from pipeline_src.shards.reader import ShardReader

    decode = {"frame_rate": RATE, "height": size, "width": size}
    frames = folder / f"frames_{size}.h5"
    lengths = ShardReader(frames).lengths.tolist()
    files = [row.file for row in read_status(folder / "fetched.csv")]
    own = catalogue.complete("flow", method, {})

    def bare() -> None:
        for file, length in zip(files, lengths, strict=True):
            task = DecodeTask(str(ROOT / file), 0.0, None)
            motion_vectors.clip(task, length, DecodeSettings.model_validate(decode), own)

    settings = {"flow": {"method": method}, "decode": decode}
    media = ("--plan", folder / "plan/000000.csv", "--fetched", folder / "fetched.csv")
    return _rates(bare, sum(lengths), 1, _extract(folder, settings, frames, cores, *media))


def _extract(folder: Path, settings: object, shard: Path, cores: int, *more: object) -> Callable[[], float]:
    where = ("--out", folder / "flow.h5", "--status", folder / "flow.csv", "--threads", cores)
    return lambda: _stage("extract_flow", settings, "--frames", shard, *where, *more)


def _rates(bare: Callable[[], None], frames: int, share: int, stage: Callable[[], float]) -> tuple[float, float]:
    """Frames per second of both; the stage has `share` times the frames. What Python needs to start is left out."""
    started = time.process_time()
    bare()
    one = frames / (time.process_time() - started)
    empty = _start()
    return one, share * frames / (stage() - empty)


def _start() -> float:
    started = time.perf_counter()
    imports = "import cv2, h5py, pandas, pipeline_src.features.optical_flow, pipeline_src.shards.writer"
    subprocess.run([sys.executable, "-c", imports], cwd=ROOT, check=True)
    return time.perf_counter() - started
