"""Bring the videos of planned clips onto the disk: local files stay where they are, URLs are downloaded."""

import contextlib
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tqdm import tqdm

from pipeline_src.clips.rows import ClipRow, Download, StatusRow, is_url
from pipeline_src.settings.clips import FetchSettings


def fetch_clips(
    clips: Iterable[ClipRow], media: Path, final: Path, settings: FetchSettings, threads: int = 1
) -> list[StatusRow]:
    """Fetch the files of clips, each URL once.

    Args:
        clips: planned clips.
        media: an existing folder that downloads go to.
        final: where that folder will stand afterwards; the rows name files in it.
        settings: limits of a download.
        threads: downloads at a time.

    Returns:
        One row per clip, in order. Never raises for what a server or file does.
    """
    clips = list(clips)
    urls = list(dict.fromkeys(clip.path for clip in clips if is_url(clip.path)))
    with ThreadPoolExecutor(threads) as pool:
        found = pool.map(lambda url: download(url, media, settings), urls)
        progress = tqdm(found, "fetch", len(urls), unit="video", file=sys.stderr, mininterval=2, disable=not urls)
        outcomes = dict(zip(urls, progress, strict=True))
    rows = []
    for clip in clips:
        outcome = outcomes[clip.path] if is_url(clip.path) else _local(clip.path)
        file = str(final / os.path.basename(outcome.file)) if is_url(clip.path) and outcome.file else outcome.file
        rows.append(StatusRow(clip.clip_id, outcome.status, outcome.reason, file))
    return rows


def download(url: str, folder: Path, settings: FetchSettings) -> Download:
    """Download one video with yt-dlp in a child process that is killed when its time is over.

    Args:
        url: an http or https address that holds one video, or a page that yt-dlp knows.
        folder: where the file goes; its name is a hash of the URL.
        settings: limits.
    """
    stem = sha256(url.encode()).hexdigest()[:16]
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pipeline_src.clips.downloader"])
    reading, writing = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(url, str(folder), stem, settings.model_dump(), writing), daemon=True)
    process.start()
    writing.close()
    started = time.monotonic()
    try:
        if reading.poll(settings.timeout_s):
            outcome = reading.recv()
        else:
            outcome = Download("timed_out", f"longer than fetch.timeout_s {settings.timeout_s:g}")
    except EOFError:
        outcome = Download("other", f"the download ended after {time.monotonic() - started:.0f} s without a result")
    finally:
        _end(process.pid)
        process.join()
        reading.close()
    outcome = _checked(outcome, folder, settings)
    for leftover in folder.glob(f"{stem}*"):
        if str(leftover) != outcome.file:
            leftover.unlink(missing_ok=True)
    return outcome


def _local(path: str) -> Download:
    if not os.path.isfile(path):
        return Download("missing", "no such file")
    if not os.access(path, os.R_OK):
        return Download("missing", "the file may not be read")
    return Download("ok", file=path)


def _end(pid: int | None) -> None:
    """Kill the child and what it started."""
    if pid is None:
        return
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(OSError):  # Already gone, or not yet the leader of its group.
            kill(pid, signal.SIGKILL)


def _checked(outcome: Download, folder: Path, settings: FetchSettings) -> Download:
    if outcome.status != "ok":
        return outcome
    path = Path(outcome.file)
    if path.parent != folder or path.is_symlink() or not path.is_file():
        return Download("other", "the download left no file")
    if path.stat().st_size > settings.max_bytes:
        return Download("over_limits", f"larger than fetch.max_bytes {settings.max_bytes}")
    return outcome


def _child(url: str, folder: str, stem: str, limits: dict[str, Any], result: Connection) -> None:
    # Imported here, so that only the process which downloads are forked from pays for loading yt-dlp.
    from pipeline_src.clips.downloader import run_child

    run_child(url, folder, stem, limits, result)
