"""Flow methods in frames per second: the bare call on one core, and the stage on all, which has to keep them busy."""

import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import repeat
from pathlib import Path
from typing import Literal

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
SIZES = (128, 224)
# Pairs of frames for about ten seconds of each method's work at the smaller size.
PAIRS = {"dis": 6000, "farneback": 2000, "tvl1": 64, "tvl1_torch": 480}
REPEATS = 4
SECONDS = 6
CLIP = 65
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
    source = {"kind": "world", "videos": 24, "size": 256, "seconds": [SECONDS, SECONDS]}
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

    settings = FlowSettings.model_validate({"method": method})
    call = importlib.import_module(f"pipeline_src.features.flow.{method}").pairs
    blocks = max(2, round(PAIRS[method] * (SIZES[0] / size) ** 2 / (CLIP - 1)))
    call(grey[0][:1], grey[0][1:2], settings.settings)

    def bare() -> None:
        for number in range(blocks):
            clip = grey[number % len(grey)]
            call(clip[:-1], clip[1:], settings.settings)

    def stage(clips: int) -> float:
        pictures = (np.repeat(grey[number % len(grey)][..., None], 3, axis=-1) for number in range(clips))
        _write(folder / "many.h5", size, pictures)
        return _extract(folder, {"flow": {"method": method}}, cores)

    return _rates(bare, blocks * (CLIP - 1), stage, cores, cores * (blocks + 1), CLIP - 1)


def _vectors(folder: Path, method: str, size: int, grey: np.ndarray, cores: int) -> tuple[float, float]:
    from pipeline_src.clips.decode import DecodeTask
    from pipeline_src.clips.rows import plan_text, read_plan, read_status, write_status
    from pipeline_src.features.flow import motion_vectors
    from pipeline_src.settings import catalogue
    from pipeline_src.settings.clips import DecodeSettings

    decode = {"frame_rate": RATE, "height": size, "width": size}
    clips, arrived = read_plan(folder / "plan/000000.csv"), read_status(folder / "fetched.csv")
    own = catalogue.complete("flow", method, {})
    frames = RATE * SECONDS

    def bare() -> None:
        for row in arrived:
            task = DecodeTask(row.file, 0.0, None)
            list(motion_vectors.clip(task, frames, DecodeSettings.model_validate(decode), own))

    def stage(number: int) -> float:
        planned = [replace(clips[n % len(clips)], clip_id=f"clip-{n}") for n in range(number)]
        (folder / "many.csv").write_text(plan_text(planned, 0), newline="")
        rows = [replace(arrived[n % len(arrived)], clip_id=f"clip-{n}") for n in range(number)]
        write_status(folder / "many_fetched.csv", rows, fetched=True)
        # Of frames only their number matters.
        _write(folder / "many.h5", size, repeat(np.zeros((frames, size, size, 3), np.uint8), number), "lzf")
        media = ("--plan", folder / "many.csv", "--fetched", folder / "many_fetched.csv")
        return _extract(folder, {"flow": {"method": method}, "decode": decode}, cores, *media)

    return _rates(bare, frames * len(clips), stage, cores, cores * len(clips) * REPEATS, frames)


def _write(path: Path, size: int, clips: Iterable[np.ndarray], codec: Literal["jpeg", "lzf"] = "jpeg") -> None:
    from pipeline_src.shards.writer import ShardWriter

    attributes = {"frame_rate": float(RATE)}
    with ShardWriter(
        path, modality="frames", item_shape=(size, size, 3), dtype="uint8", codec=codec, attributes=attributes
    ) as shard:
        for number, clip in enumerate(clips):
            shard.add(f"clip-{number}", clip)


def _extract(folder: Path, settings: object, cores: int, *more: object) -> float:
    where = ("--frames", folder / "many.h5", "--out", folder / "flow.h5", "--status", folder / "flow.csv")
    return _stage("extract_flow", settings, *where, "--threads", cores, *more)


def _rates(
    bare: Callable[[], None], frames: int, stage: Callable[[int], float], few: int, many: int, length: int
) -> tuple[float, float]:
    """Frames per second: of the bare call by CPU time, of the stage by the time that further clips take it."""
    started = time.process_time()
    bare()
    one = frames / (time.process_time() - started)
    start = stage(few)
    return one, (many - few) * length / (stage(many) - start)
