"""What terms learn from: the built-in world, and the same world without its order, through the real pipeline."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from pipeline_src.clips import world
from pipeline_src.clips.ffmpeg import ffmpeg_path
from pipeline_src.clips.world import cast_videos, motion_of
from pipeline_src.clips.world_drawing import draw_frames, draw_look
from pipeline_src.clips.world_encoding import encode_video
from pipeline_src.clips.world_motion import CLASSES
from pipeline_src.clips.world_sound import SAMPLE_RATE
from pipeline_src.settings.clips import WorldSource
from pipeline_src.settings.learning import WindowSettings
from pipeline_src.shards.index import Collection

ROOT = Path(__file__).resolve().parents[3]
DATA = ROOT / "data" / "learn"
# Seed and videos of each.
PARTS = {"train": (0, 480), "held_out": (1, 240), "many": (2, 2400)}
WORLD: dict[str, Any] = {"kind": "world", "part": "pool", "size": 96, "seconds": [3.2, 4.2], "classes": "uniform"}
WINDOW = WindowSettings(frames=8, crop=32, future_frames=4)
SIZE = 48


MODALITIES = ["rgb", "flow", "grey", "audio"]


def collection(kind: str, part: str) -> Collection:
    """The clips of a part, made where they are not there yet.

    Args:
        kind: moving, the world as it is; disordered, each video's pictures in a random order; steady, without the
            pushes that give time its arrow. The latter two have even noise for a sound.
        part: train, held_out, or many, more of those that are held out.
    """
    folder = DATA / kind / part
    index = folder / "pool" / "index.json"
    if not index.exists():
        seed, videos = PARTS[part]
        source = {**WORLD, "videos": videos}
        if kind != "moving":
            source = {"kind": "folder", "path": str(_changed_videos(kind, part))}
        make_pool(folder, source, seed, MODALITIES)
    return Collection.open(index)


def classes_of(pool: Collection) -> np.ndarray:
    """What each clip of a moving part shows, as a number: the labels that a pool does not have, (clips,)."""
    truth = pd.read_csv(pool.folder / "world" / "truth.csv", index_col="path")
    return np.asarray(truth.loc[pool.clips["source_video"], "class"].map({c: i for i, c in enumerate(CLASSES)}), int)


def make_pool(folder: Path, source: dict[str, Any], seed: int, modalities: list[str]) -> None:
    """Run the pipeline in `folder` as far as the index of a pool."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "run": "learn",
        "seed": seed,
        "data_root": str(folder),
        "results_root": str(folder / "results"),
        "collections": {
            "pool": {
                "source": source,
                "plan": {"duration_s": None, "clips_per_shard": 120},
                "modalities": modalities,
            }
        },
        "decode": {"frame_rate": 10, "height": SIZE, "width": SIZE},
        # On pictures this small the preset `medium` misses half of the objects' motion.
        "flow": {"bound": 10, "settings": {"preset": "fast"}},
        "window": WINDOW.model_dump(),
        "fitness": {"clips": 100},
        "loss": {"terms": ["rgb.shuffle"]},
        "lineup": [{"name": "scratch", "kind": "scratch"}],
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--cores",
        "2",
        "--quiet",
        "--configfile",
        str(folder / "config.yaml"),
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    subprocess.run([*command, "--", str(folder / "pool" / "index.json")], cwd=ROOT, check=True, env=environment)


def _changed_videos(kind: str, part: str) -> Path:
    """The same videos with the signal taken away before they are encoded: the codec and all after it do as ever."""
    seed, videos = PARTS[part]
    source = WorldSource.model_validate({**WORLD, "videos": videos})
    folder = DATA / kind / f"{part}_videos"
    folder.mkdir(parents=True, exist_ok=True)
    for index, video in enumerate(cast_videos(source, seed, "pool")):
        if (folder / video.path).exists():
            continue
        look = draw_look(video.background, source.size, world._generator(seed, "pool", "pool", "look", video.source))
        motion = motion_of(source, seed, "pool", index, video)
        if kind == "steady":
            still = {name: replace(getattr(motion, name), push_frequency=0.0) for name in ("travel", "pan")}
            motion = replace(motion, **still)
        frames = draw_frames(look, motion, source.size, source.frame_rate)
        random = np.random.default_rng([seed, index])
        if kind == "disordered":
            frames = frames[random.integers(len(frames), size=len(frames))]
        loudness = 10 ** random.uniform(2, 3.7)
        noise = np.asarray(loudness * random.standard_normal(round(video.seconds * SAMPLE_RATE)), np.int16)
        encode_video(folder / video.path, frames, source.frame_rate, noise if video.sound else None, ffmpeg_path())
    return folder
