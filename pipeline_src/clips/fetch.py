"""Bring the videos of planned clips onto the disk: local files stay where they are, sections of URLs are downloaded."""

import contextlib
import math
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterable
from hashlib import sha256
from multiprocessing.connection import Connection
from pathlib import Path

from tqdm import tqdm

from pipeline_src.clips.cookies import read_cookies
from pipeline_src.clips.rows import ClipRow, Piece, StatusRow, Wanted, is_url
from pipeline_src.settings.clips import FetchSettings


def fetch_clips(
    clips: Iterable[ClipRow],
    media: Path,
    final: Path,
    settings: FetchSettings,
    *,
    seed: int = 0,
    spare: float = 0.0,
    shortest_s: float = 0.0,
) -> list[StatusRow]:
    """Fetch the clips of a shard, one video after the other, each URL once.

    Args:
        clips: planned clips, with `spare` further candidates per wanted one.
        media: an existing folder that downloads go to.
        final: where that folder will stand afterwards; the rows name files in it.
        settings: limits of a download.
        seed: of the starts that are drawn now.
        spare: candidates are taken in order until clips / (1 + spare) are there.
        shortest_s: shorter pieces are no clips.

    Returns:
        One row per clip, in order. Never raises for what a server or file does.

    Raises:
        UserError: the cookie file, where one is needed, cannot be read.
    """
    clips = list(clips)
    if settings.cookies and any(is_url(clip.path) for clip in clips):
        read_cookies(settings.cookies)  # Before each download reads it, and fails.
    needed = max(1, math.floor(len(clips) / (1 + spare) + 1e-9))
    rows: dict[str, StatusRow] = {}
    progress = tqdm(desc="fetch", total=needed, unit="clip", file=sys.stderr, mininterval=2)
    while len(rows) < len(clips) and needed > (arrived := sum(row.status == "ok" for row in rows.values())):
        videos: dict[str, list[ClipRow]] = {}
        for clip in clips[len(rows) : len(rows) + needed - arrived]:
            videos.setdefault(clip.path, []).append(clip)
        for path, found in videos.items():
            for row in _fetch(path, found, media, final, settings, seed, shortest_s):
                rows[row.clip_id] = row
                progress.update(row.status == "ok")
    progress.close()
    return [rows.get(clip.clip_id, StatusRow(clip.clip_id, "spare", "not needed")) for clip in clips]


def download(url: str, wanted: list[Wanted], folder: Path, settings: FetchSettings) -> list[Piece]:
    """Fetch sections of one video in a child process that is killed when its time is over.

    Args:
        url: an http or https address that holds one video, or a page that yt-dlp knows.
        wanted: the sections.
        folder: where files go.
        settings: limits; timeout_s counts for each section.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pipeline_src.clips.downloader"])
    reading, writing = context.Pipe(duplex=False)
    process = context.Process(target=_child, args=(url, wanted, str(folder), settings, writing), daemon=True)
    process.start()
    writing.close()
    started = time.monotonic()
    try:
        if reading.poll(settings.timeout_s * len(wanted)):
            pieces = reading.recv()
        else:
            pieces = [Piece("timed_out", f"longer than fetch.timeout_s {settings.timeout_s:g}")] * len(wanted)
    except EOFError:
        reason = f"the download ended after {time.monotonic() - started:.0f} s without a result"
        pieces = [Piece("other", reason)] * len(wanted)
    finally:
        _end(process.pid)
        process.join()
        reading.close()
    pieces = [_checked(piece, folder) for piece in pieces]
    kept = {piece.file for piece in pieces}
    for want in wanted:
        for leftover in folder.glob(f"{want.name}*"):
            if str(leftover) not in kept:
                leftover.unlink(missing_ok=True)
    return pieces


def _fetch(
    path: str, clips: list[ClipRow], media: Path, final: Path, settings: FetchSettings, seed: int, shortest_s: float
) -> list[StatusRow]:
    """Rows of the clips of one video."""
    if not is_url(path):
        return [_local(clip) for clip in clips]
    wanted = [
        Wanted(
            name=sha256(clip.clip_id.encode()).hexdigest()[:16],
            start_s=clip.start_s,
            duration_s=clip.duration_s,
            section=clip.section,
            seed=seed,
            identity=path,
            shortest_s=shortest_s,
        )
        for clip in clips
    ]
    pieces = download(path, wanted, media, settings)
    time.sleep(settings.sleep_s)
    return [
        StatusRow(
            clip.clip_id,
            piece.status,
            piece.reason,
            str(final / os.path.basename(piece.file)) if piece.file else "",
            piece.start_s,
            piece.video_start_s,
        )
        for clip, piece in zip(clips, pieces, strict=True)
    ]


def _local(clip: ClipRow) -> StatusRow:
    if not os.path.isfile(clip.path):
        return StatusRow(clip.clip_id, "missing", "no such file")
    if not os.access(clip.path, os.R_OK):
        return StatusRow(clip.clip_id, "missing", "the file may not be read")
    return StatusRow(clip.clip_id, "ok", "", clip.path, clip.earliest_s, clip.earliest_s)


def _end(pid: int | None) -> None:
    """Kill the child and what it started."""
    if pid is None:
        return
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(OSError):  # Already gone, or not yet the leader of its group.
            kill(pid, signal.SIGKILL)


def _checked(piece: Piece, folder: Path) -> Piece:
    path = Path(piece.file)
    if piece.status == "ok" and (path.parent != folder or path.is_symlink() or not path.is_file()):
        return Piece("other", "the download left no file")
    return piece


def _child(url: str, wanted: list[Wanted], folder: str, settings: FetchSettings, result: Connection) -> None:
    # Imported here, so that only the process which downloads are forked from pays for loading yt-dlp.
    from pipeline_src.clips.downloader import run_child

    run_child(url, wanted, folder, settings, result)
