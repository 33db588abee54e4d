"""Optical flow of a shard's clips, in 8 bits.

A flow method is a module in features/flow, chosen and loaded by name. Most work on pairs of decoded frames, those that
declare READS_MEDIA on the compressed video. Threads share the work, or processes where a method declares HOLDS_LOCK.
"""

import importlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from pipeline_src.clips.decode import DecodeTask
from pipeline_src.clips.isolated import IsolatedError, isolated
from pipeline_src.features.grey import luma
from pipeline_src.settings import catalogue
from pipeline_src.settings.clips import DecodeSettings
from pipeline_src.settings.features import FlowSettings
from pipeline_src.shards.reader import ShardReader

ZERO = 128
LEVELS = 127
# Pairs of frames that one call gets from a CPU method: long clips are cut and short ones joined, so that memory stays
# small and all threads have work.
BLOCK = 32
# Threads that bring work to a GPU: while one waits for it, another reads, and one stores.
GPU_THREADS = 3
# Of a process that reads a video: a clip's flow in 32 bits, several times, and what its largest pictures need.
MEMORY_BYTES = 8 << 30

In = TypeVar("In")
Out = TypeVar("Out")


@dataclass(frozen=True)
class Stored:
    """Flow in 8 bits.

    Attributes:
        flow: uint8 (..., 2).
        clipped: how many of its values lay beyond the bound.
        squared_error: sum over its values of the squared difference, in pixels, between what was computed and what
            `pixels` gives back.
    """

    flow: np.ndarray
    clipped: int
    squared_error: float


@dataclass(frozen=True)
class ClipFlow:
    """Flow of one clip.

    Attributes:
        clip_id: the clip.
        stored: of a clip with N frames (N - 1, H, W, 2); None for a clip with fewer than two and where there is none.
        reason: why a clip with frames has no flow; "" where it has, and where one frame has no motion.
    """

    clip_id: str
    stored: Stored | None
    reason: str = ""


@dataclass(frozen=True)
class _Piece:
    """Pairs [start, stop) of a clip."""

    row: int
    start: int
    stop: int


def scale(bound: float) -> float:
    """Pixels per frame that one stored unit stands for."""
    return bound / LEVELS


def quantise(flow: np.ndarray, bound: float) -> Stored:
    """Store flow in 8 bits: round(flow / scale) + 128, clipped to 1..255, where scale = bound / 127.

    Args:
        flow: float32 (T, ..., 2) in pixels per frame.
        bound: the largest displacement kept.

    Returns:
        The stored flow. Values within the bound come back from `pixels` within scale / 2. A value that is not a number
        becomes zero and counts as beyond, but not in the error.
    """
    unit, most = np.float32(scale(bound)), np.float32(LEVELS)
    stored = np.empty(flow.shape, np.uint8)
    beyond, squared = 0, 0.0
    # Frame by frame, so that all steps find their values in the cache.
    rows = flow.reshape(len(flow), -1)
    levels, rest = np.empty(rows.shape[1:], np.float32), np.empty(rows.shape[1:], np.float32)
    for target, row in zip(stored.reshape(rows.shape), rows, strict=True):
        np.abs(row, out=rest)
        if rest.max() <= bound:
            values = row
        else:
            beyond += int(row.size - np.count_nonzero(rest <= bound))
            values = np.nan_to_num(row, nan=0.0, posinf=bound, neginf=-bound)
        np.clip(np.divide(values, unit, out=levels), -most, most, out=levels)
        np.rint(levels, out=levels)
        np.add(levels, np.float32(ZERO), out=target, casting="unsafe")
        np.subtract(np.multiply(levels, unit, out=levels), values, out=levels)
        squared += float(np.einsum("i,i->", levels, levels))
    return Stored(stored, beyond, squared)


def pixels(stored: np.ndarray, unit: float) -> np.ndarray:
    """Flow in pixels per frame, float32, from its 8-bit form; `unit` is the shard's attribute `scale`."""
    return (stored.astype(np.float32) - ZERO) * np.float32(unit)


def flow_of_clips(frames: ShardReader, settings: FlowSettings, threads: int) -> Iterator[ClipFlow]:
    """Flow of every clip of a shard, in the shard's order, computed from its frames by `threads` threads.

    The result does not depend on the number of threads. One clip's flow and a few blocks are held in memory.
    """
    method = importlib.import_module(catalogue.module("flow", settings.method))
    many = method.batch(*frames.item_shape[:2], settings.settings) if hasattr(method, "batch") else None
    workers = min(threads, GPU_THREADS) if many else threads
    pairs = [max(int(length) - 1, 0) for length in frames.lengths]
    with ExitStack() as stack:
        call: Callable[[tuple[list[np.ndarray], FlowSettings]], list[Stored]] = _flow_of_pairs
        if threads > 1 and not many and getattr(method, "HOLDS_LOCK", False):
            call = stack.enter_context(isolated(_flow_of_pairs, threads))

        def work(pieces: list[_Piece]) -> list[Stored]:
            grey = [luma(frames.read(piece.row, piece.start, piece.stop + 1)) for piece in pieces]
            return call((grey, settings))

        blocks = in_order(work, _blocks(pairs, many or BLOCK), workers)
        results = (stored for block in blocks for stored in block)
        for clip_id, length, missing in zip(frames.clip_ids, frames.lengths, pairs, strict=True):
            parts: list[Stored] = []
            while missing:
                parts.append(next(results))
                missing -= len(parts[-1].flow)
            reason = "" if length else "no frames"
            yield ClipFlow(clip_id, _joined(parts) if parts else None, reason)


def _flow_of_pairs(what: tuple[list[np.ndarray], FlowSettings]) -> list[Stored]:
    """Stored flow between the neighbouring frames of each piece of a clip, grey (frames, H, W)."""
    pieces, settings = what
    method = importlib.import_module(catalogue.module("flow", settings.method))
    before, after = (np.concatenate([piece[part] for piece in pieces]) for part in (slice(-1), slice(1, None)))
    flow = method.pairs(before, after, settings.settings)
    ends = np.cumsum([len(piece) - 1 for piece in pieces])[:-1]
    return [quantise(part, settings.bound) for part in np.split(flow, ends)]


def _blocks(pairs: Sequence[int], size: int) -> Iterator[list[_Piece]]:
    """All pairs of all clips in order, in blocks of `size` pairs at most."""
    block: list[_Piece] = []
    room = size
    for row, count in enumerate(pairs):
        start = 0
        while start < count:
            stop = min(count, start + room)
            block.append(_Piece(row, start, stop))
            room -= stop - start
            start = stop
            if not room:
                yield block
                block, room = [], size
    if block:
        yield block


def _joined(parts: list[Stored]) -> Stored:
    flow = np.concatenate([part.flow for part in parts]) if len(parts) > 1 else parts[0].flow
    return Stored(flow, sum(part.clipped for part in parts), sum(part.squared_error for part in parts))


def flow_of_media(
    clips: Iterable[tuple[str, DecodeTask | None, int]], settings: FlowSettings, decode: DecodeSettings, threads: int
) -> Iterator[ClipFlow]:
    """Flow of clips read from their compressed video, each in a process of its own, `threads` at a time.

    Args:
        clips: clip_id, the file and piece that was decoded, and how many frames came of it.
        settings: of the flow.
        decode: how the frames were decoded.
        threads: clips at a time.
    """
    with isolated(_flow_of_video, threads, timeout_s=2 * decode.timeout_s, memory_bytes=MEMORY_BYTES) as call:

        def work(clip: tuple[str, DecodeTask | None, int]) -> ClipFlow:
            clip_id, task, frames = clip
            if task is None or not frames:
                return ClipFlow(clip_id, None, "no frames")
            if frames < 2:
                return ClipFlow(clip_id, None)
            try:
                found = call((task, frames, settings, decode))
            except IsolatedError as error:
                return ClipFlow(clip_id, None, str(error))
            return ClipFlow(clip_id, None, found) if isinstance(found, str) else ClipFlow(clip_id, found)

        yield from in_order(work, clips, threads)


def _flow_of_video(what: tuple[DecodeTask, int, FlowSettings, DecodeSettings]) -> Stored | str:
    """Stored flow of a clip, or why there is none."""
    task, frames, settings, decode = what
    method: Any = importlib.import_module(catalogue.module("flow", settings.method))
    try:
        flow = method.clip(task, frames, decode, settings.settings)
        return _joined([quantise(motion[None], settings.bound) for motion in flow])
    except method.NoVectorsError as error:
        return str(error)
    except MemoryError:
        return f"its flow needs more than {MEMORY_BYTES >> 30} GB of memory"


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
        # Whoever ends early must not wait for what is under way.
        pool.shutdown(wait=False, cancel_futures=True)
