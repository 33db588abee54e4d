"""Any videos to vectors with an exported encoder; torch, torchvision, safetensors, PyAV and numpy are enough."""

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch

from pipeline_src.clips.folder import is_utf8, list_videos
from pipeline_src.clips.isolated import IsolatedError, TimedOutError, isolated
from pipeline_src.embedding.clip_format import ClipFormat
from pipeline_src.embedding.exported import ClipEncoder
from pipeline_src.embedding.table import ClipEmbedding
from pipeline_src.embedding.windows import Clip, ClipWindows, cut, failed, read_windows
from pipeline_src.errors import UserError
from pipeline_src.settings.export_limits import most_windows

# Of each reading process, so that nonsense in a file cannot ask for all there is.
MEMORY_BYTES = 12 << 30


def find_videos(places: Iterable[str | os.PathLike[str]]) -> list[str]:
    """Paths of videos: files as given, and of folders all files with a video's suffix, sorted.

    Raises:
        UserError: a place that is not there, or a folder without videos.
    """
    found: list[str] = []
    for place in places:
        path = Path(place)
        if not path.is_dir():
            if not path.exists():
                raise UserError(f"{path}: no such file or folder")
            found.append(str(path))
            continue
        inside = list_videos(path, any_name=True)
        if not inside:
            raise UserError(f"{path}: no video file in it - allowed: a folder with videos, or files")
        found += [str(path / name) for name in inside]
    return found


def embed_videos(
    paths: Sequence[str | os.PathLike[str]],
    encoder: ClipEncoder,
    *,
    clip_duration_s: float | None = None,
    batch_size: int = 32,
    workers: int | None = None,
) -> Iterator[ClipEmbedding]:
    """Embed videos, in order, as the pipeline does: the mean over windows spread evenly over each clip.

    Processes decode while the network works, and a batch holds windows of several videos. A video that cannot be
    decoded or named in a table, whose decoder crashes or hangs, or whose embedding is not finite, costs only itself.

    Args:
        paths: local files.
        encoder: from load_exported, on any device.
        clip_duration_s: length of a clip in seconds, at least a frame; None embeds each video as one.
        batch_size: windows per forward pass; fewer where they are so large that memory may run out.
        workers: processes that decode; None for as many as there are cores, at most 16.
    """
    batch_size = min(batch_size, max(1, most_windows(encoder.format.frames, encoder.format.crop)))
    batch: list[ClipWindows] = []
    clips: list[Clip] = []
    for clip, read in _read_all([os.fspath(path) for path in paths], encoder.format, clip_duration_s, workers):
        batch.append(read)
        clips.append(clip)
        if sum(len(one.windows) for one in batch) >= batch_size or len(batch) >= 4 * batch_size:
            yield from _embedded(encoder, clips, batch, batch_size)
            batch, clips = [], []
    yield from _embedded(encoder, clips, batch, batch_size)


def _embedded(
    encoder: ClipEncoder, clips: list[Clip], batch: list[ClipWindows], batch_size: int
) -> Iterator[ClipEmbedding]:
    windows = [one.windows for one in batch if one.status == "ok"]
    vectors: Iterator[np.ndarray] = iter(())
    if windows:
        stored = torch.from_numpy(np.concatenate(windows)).permute(0, 4, 1, 2, 3)
        with torch.inference_mode():
            parts = [encoder(part.to(encoder.mean.device)).float().cpu() for part in stored.split(batch_size)]
        vectors = iter(torch.cat(parts).unflatten(0, (len(windows), -1)).numpy().mean(1))
    for clip, one in zip(clips, batch, strict=True):
        vector = next(vectors) if one.status == "ok" else np.zeros(0, np.float32)
        if not np.isfinite(vector).all():
            one, vector = failed("other", "its embedding is not finite"), vector[:0]
        path = clip.path.encode(errors="backslashreplace").decode()
        yield ClipEmbedding(path, clip.start_s, one.duration_s, one.status, one.reason, vector)


def _read_all(
    paths: list[str], format: ClipFormat, clip_duration_s: float | None, workers: int | None
) -> Iterator[tuple[Clip, ClipWindows]]:
    """Windows of all clips, in order, read by processes that run a few clips ahead."""
    workers = workers or min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2, 16)
    # Videos whose clips are not tried, and why: they have no name for the table, or have brought down their process.
    unnamed = failed("refused", "its path is not UTF-8 - rename it")
    broken = {path: unnamed for path in paths if not is_utf8(path)}
    read = partial(read_windows, format=format)
    limits = {"timeout_s": format.timeout_s, "memory_bytes": MEMORY_BYTES}
    # The processes end first, so that no thread waits for them where the caller stops in the middle.
    with ThreadPoolExecutor(workers) as pool, isolated(read, workers, **limits) as call:  # type: ignore[arg-type]

        def guarded(clip: Clip) -> ClipWindows:
            if clip.path not in broken:
                try:
                    return call(clip)
                except TimedOutError as error:
                    broken[clip.path] = failed("timed_out", str(error))
                except IsolatedError as error:
                    broken[clip.path] = failed("undecodable", f"its decoder: {error}")
            return broken[clip.path]

        waiting: deque[tuple[Clip, Future[ClipWindows]]] = deque()
        try:
            for clip in _clips(paths, format, clip_duration_s):
                waiting.append((clip, pool.submit(guarded, clip)))
                if len(waiting) > 3 * workers:
                    first, future = waiting.popleft()
                    yield first, future.result()
            while waiting:
                first, future = waiting.popleft()
                yield first, future.result()
        finally:
            for _, future in waiting:
                future.cancel()


def _clips(paths: list[str], format: ClipFormat, clip_duration_s: float | None) -> Iterator[Clip]:
    if clip_duration_s is None:
        yield from (Clip(path) for path in paths)
        return
    work = partial(cut, format=format, clip_duration_s=clip_duration_s)
    with isolated(work, 1, timeout_s=format.timeout_s, memory_bytes=MEMORY_BYTES) as call:
        for path in paths:
            try:
                yield from call(path) if is_utf8(path) else (Clip(path, 0.0, clip_duration_s),)
            except IsolatedError:
                yield Clip(path, 0.0, clip_duration_s)
