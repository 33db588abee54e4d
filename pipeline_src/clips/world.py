"""The built-in video world: files of shapes in motion, for machines without videos of their own.

A video depends only on the seed, the collection, the part and its index, so asking for more videos keeps the earlier
ones as they are, and the pool and a labelled set never share one.
"""

import csv
import hashlib
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from pipeline_src.clips.ffmpeg import ffmpeg_path
from pipeline_src.clips.world_drawing import BACKGROUNDS, draw_frames, draw_look
from pipeline_src.clips.world_encoding import encode_video
from pipeline_src.clips.world_motion import CLASSES, Motion, draw_motion
from pipeline_src.clips.world_sound import make_sound
from pipeline_src.settings.clips import WorldSource

SILENT_FRACTION = 0.05
SPLIT_PARTS = (("train", 0.50), ("validation", 0.15), ("test", 0.35))
# As in real labelled sets, several clips stem from one video: they share their look, not their motion.
CLIPS_PER_SOURCE = 2
BLOCK = 128


@dataclass(frozen=True)
class WorldVideo:
    """One video before it is rendered.

    Attributes:
        path: file name.
        action: the action class.
        background: kind of background.
        seconds: length.
        sound: whether the file has a sound track.
        source: number of the source video; videos of one source share their look.
        split: train, validation or test; empty in the pool.
    """

    path: str
    action: str
    background: str
    seconds: float
    sound: bool
    source: int
    split: str


def cast_videos(source: WorldSource, seed: int, collection: str) -> list[WorldVideo]:
    """Choose class, background, length and part of each video.

    Classes, backgrounds and parts are drawn independently of each other, each stratified over BLOCK videos: their
    counts stay nearer to the wanted proportions than those of independent draws would.
    """
    names = (seed, collection, source.part)
    labelled = source.part == "labelled"
    sources = np.arange(source.videos) // (CLIPS_PER_SOURCE if labelled else 1)
    class_law = "uniform" if labelled else source.classes
    actions = _stratified(source.videos, _shares(len(CLASSES), class_law), *names, "class")
    backgrounds = _stratified(source.videos, _shares(len(BACKGROUNDS), source.backgrounds), *names, "background")
    splits = _stratified(source.videos, np.array([share for _, share in SPLIT_PARTS]), *names, "split")
    # Which class is the most frequent one is chance, too.
    order = _generator(*names, "order")
    action_names, background_names = order.permutation(CLASSES), order.permutation(BACKGROUNDS)
    videos = []
    for index, group in enumerate(sources.tolist()):
        rng = _generator(*names, "video", index)
        frames = rng.uniform(*source.seconds) * source.frame_rate
        videos.append(
            WorldVideo(
                path=f"{index:06d}.mp4",
                action=str(action_names[actions[index]]),
                background=str(background_names[backgrounds[group]]),
                seconds=max(round(frames), 1) / source.frame_rate,
                sound=bool(rng.random() >= SILENT_FRACTION),
                source=group,
                split=SPLIT_PARTS[splits[group]][0] if labelled else "",
            )
        )
    return videos


def write_world(source: WorldSource, seed: int, collection: str, folder: Path, threads: int = 1) -> None:
    """Render the world into `folder`: videos.csv, truth.csv and the videos.

    videos.csv is what the pipeline reads: path, and for the labelled part label, split_1 and source_video. truth.csv
    tells of every video what it shows; it serves tests and analysis.

    Raises:
        UserError: ffmpeg is missing, or cannot encode.
    """
    videos = cast_videos(source, seed, collection)
    # Frames are small: many videos side by side are faster than threads inside one.
    cv2.setNumThreads(1)
    program = ffmpeg_path()

    def render(index: int) -> None:
        _render(source, seed, collection, index, videos[index], folder, program)

    pool = ThreadPoolExecutor(max(threads, 1))
    try:
        done = pool.map(render, range(len(videos)))
        for _ in tqdm(done, total=len(videos), desc=f"{collection}: videos", file=sys.stderr, mininterval=5):
            pass
    finally:
        # After an error the videos still waiting are not rendered.
        pool.shutdown(cancel_futures=True)
    _write_rows(folder / "videos.csv", _public_rows(videos, source))
    _write_rows(folder / "truth.csv", _truth_rows(videos, source))


def motion_of(source: WorldSource, seed: int, collection: str, index: int, video: WorldVideo) -> Motion:
    """The motion of the objects and the camera in a video."""
    return draw_motion(video.action, video.seconds, _generator(seed, collection, source.part, "motion", index))


def render_video(
    source: WorldSource, seed: int, collection: str, index: int, video: WorldVideo
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int16]]:
    """Frames (T, size, size, 3) RGB and sound (samples,) of one video, before encoding."""
    names = (seed, collection, source.part)
    look = draw_look(video.background, source.size, _generator(*names, "look", video.source))
    motion = motion_of(source, seed, collection, index, video)
    sound = make_sound(motion, float(look.canvas.mean()) / 255, _generator(*names, "sound", index))
    return draw_frames(look, motion, source.size, source.frame_rate), sound


def _render(
    source: WorldSource, seed: int, collection: str, index: int, video: WorldVideo, folder: Path, program: str
) -> None:
    frames, sound = render_video(source, seed, collection, index, video)
    encode_video(folder / video.path, frames, source.frame_rate, sound if video.sound else None, program)


def _public_rows(videos: list[WorldVideo], source: WorldSource) -> Iterator[dict[str, str]]:
    for video in videos:
        if source.part == "labelled":
            yield {
                "path": video.path,
                "label": video.action,
                "split_1": video.split,
                "source_video": f"source_{video.source:06d}",
            }
        else:
            yield {"path": video.path}


def _truth_rows(videos: list[WorldVideo], source: WorldSource) -> Iterator[dict[str, str]]:
    for video in videos:
        yield {
            "path": video.path,
            "class": video.action,
            "background": video.background,
            "frames": str(round(video.seconds * source.frame_rate)),
            "sound": str(int(video.sound)),
        }


def _write_rows(path: Path, rows: Iterator[dict[str, str]]) -> None:
    listed = list(rows)
    with path.open("w", newline="") as out:
        writer = csv.DictWriter(out, listed[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(listed)


def _shares(count: int, law: str) -> npt.NDArray[np.float64]:
    """Probabilities of `count` ranks: equal, or Zipf's law, proportional to 1 / rank."""
    weights = 1 / np.arange(1, count + 1) if law == "zipf" else np.ones(count)
    return np.asarray(weights / weights.sum(), np.float64)


def _stratified(count: int, shares: npt.NDArray[np.float64], *names: str | int) -> npt.NDArray[np.int64]:
    """Bins (count,) with probabilities `shares`; the first draws do not depend on how many are wanted."""
    points = []
    for block in range(-(-count // BLOCK)):
        rng = _generator(*names, block)
        points.append((rng.permutation(BLOCK) + rng.random(BLOCK)) / BLOCK)
    bins = np.searchsorted(np.cumsum(shares), np.concatenate(points)[:count], side="right")
    return np.asarray(np.minimum(bins, len(shares) - 1), np.int64)


def _generator(*names: str | int) -> np.random.Generator:
    text = "/".join(map(str, names))
    return np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big"))
