"""Optical flow of a shard's clips, in 8 bits.

A flow method is a module in features/flow, chosen and loaded by name.
"""

import importlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from pipeline_src.features.grey import luma
from pipeline_src.settings import catalogue
from pipeline_src.settings.features import FlowSettings
from pipeline_src.shards.reader import ShardReader

ZERO = 128
LEVELS = 127
# Long clips are cut into blocks of this many frame pairs, so that memory stays small and one long clip still
# occupies all threads.
BLOCK = 16

In = TypeVar("In")
Out = TypeVar("Out")


@dataclass(frozen=True)
class ClipFlow:
    """Flow of one clip.

    Attributes:
        clip_id: the clip.
        flow: uint8 (N - 1, H, W, 2) of a clip with N frames, None for a clip with fewer than two.
        clipped: how many of its values lay beyond the bound.
    """

    clip_id: str
    flow: np.ndarray | None
    clipped: int


def scale(bound: float) -> float:
    """Pixels per frame that one stored unit stands for."""
    return bound / LEVELS


def quantise(flow: np.ndarray, bound: float) -> tuple[np.ndarray, int]:
    """Store flow in 8 bits: round(flow / scale) + 128, clipped to 1..255, where scale = bound / 127.

    Args:
        flow: float (..., 2) in pixels per frame.
        bound: the largest displacement kept.

    Returns:
        uint8 of the same shape, and the number of values beyond the bound. Other values come back from
        `pixels` within scale / 2. A value that is not a number becomes zero and counts as beyond.
    """
    beyond = int(flow.size - np.count_nonzero(np.abs(flow) <= bound))
    if beyond:
        flow = np.nan_to_num(flow, nan=0.0, posinf=bound, neginf=-bound)
    levels = np.clip(flow / np.float32(scale(bound)), -LEVELS, LEVELS)
    return (np.rint(levels, out=levels) + ZERO).astype(np.uint8), beyond


def pixels(stored: np.ndarray, unit: float) -> np.ndarray:
    """Flow in pixels per frame, float32, from its 8-bit form; `unit` is the shard's attribute `scale`."""
    return (stored.astype(np.float32) - ZERO) * np.float32(unit)


def flow_of_clips(frames: ShardReader, settings: FlowSettings, threads: int) -> Iterator[ClipFlow]:
    """Flow of every clip of a shard, in the shard's order, computed by `threads` threads.

    The result does not depend on the number of threads. One clip's flow and a few blocks are held in memory.
    """
    method = importlib.import_module(catalogue.module("flow", settings.method))

    def work(block: np.ndarray) -> tuple[np.ndarray, int]:
        return quantise(method.pairs(luma(block), settings.settings), settings.bound)

    starts = [range(0, max(int(length) - 1, 0), BLOCK) for length in frames.lengths]
    blocks = (
        frames.read(row, start, min(start + BLOCK + 1, int(frames.lengths[row])))
        for row, clip_starts in enumerate(starts)
        for start in clip_starts
    )
    results = in_order(work, blocks, threads)
    for clip_id, clip_starts in zip(frames.clip_ids, starts, strict=True):
        parts = [next(results) for _ in clip_starts]
        flow = np.concatenate([part for part, _ in parts]) if parts else None
        yield ClipFlow(clip_id, flow, sum(beyond for _, beyond in parts))


def in_order(work: Callable[[In], Out], items: Iterable[In], threads: int) -> Iterator[Out]:
    """Apply `work` to items with `threads` threads; yield results in order, with few items in memory."""
    waiting: deque[Future[Out]] = deque()
    pool = ThreadPoolExecutor(threads)
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
