"""The child process of a download: yt-dlp with limits, and what its errors stand for."""

import errno
import os
import re
import select
import signal
import threading
from collections.abc import Iterable
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any

import yt_dlp

from pipeline_src.clips.rows import Download, short_reason
from pipeline_src.settings.clips import FetchSettings

# Protocols that yt-dlp downloads itself, over http and https only.
PROTOCOLS = "[protocol~='^(https?|m3u8_native|m3u8|http_dash_segments)$']"
# Messages of sites about a video that will not come back; other failures may pass and are worth a retry.
GONE = re.compile(
    r"unsupported url|no video formats|private|removed|unavailable|not available|deleted|terminated"
    r"|does not exist|not found|drm|members.only|copyright|file:// urls",
    re.IGNORECASE,
)
BLOCKED = re.compile(r"not a bot|too many requests|HTTP Error 429|rate.limit|try again", re.IGNORECASE)


def too_large(limit: int) -> Download:
    """The outcome of a file above `limit` bytes."""
    return Download("over_limits", f"larger than fetch.max_bytes {limit}")


class _TooLargeError(Exception):
    """Raised in a progress hook to end a download."""


class _Silent:
    def debug(self, message: str) -> None:
        """Say nothing."""

    info = warning = error = debug


def run_child(url: str, folder: str, stem: str, limits: dict[str, Any], result: Connection) -> None:
    """Download one video and send its Download through `result`; the body of a process of its own.

    Args:
        url: an http or https address.
        folder: where the file goes.
        stem: name of the file without suffix.
        limits: FetchSettings as a dict.
        result: where the outcome is sent.
    """
    os.setsid()  # One group, so that a program which yt-dlp starts ends with it.
    settings = FetchSettings.model_validate(limits)
    threading.Thread(target=_end_with_reader, args=(result.fileno(),), daemon=True).start()
    try:
        outcome = _download(url, folder, stem, settings)
    except BaseException as error:  # Whatever a site makes yt-dlp do is this clip's failure only.
        outcome = classify(error, url, settings)
    result.send(replace(outcome, reason=short_reason(outcome.reason, url)))


def _end_with_reader(file: int) -> None:
    """End this process group as soon as nobody reads the pipe any more: the parent was killed."""
    watch = select.poll()
    watch.register(file, 0)  # No event is asked for; the end of the reader is always told.
    watch.poll()
    os.killpg(0, signal.SIGKILL)


def _download(url: str, folder: str, stem: str, settings: FetchSettings) -> Download:
    import resource

    # The last line of defence: no file of this process grows much beyond the limit.
    margin = settings.max_bytes + (1 << 20)
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (margin if hard < 0 else min(margin, hard), hard))
    with yt_dlp.YoutubeDL(download_options(folder, stem, settings)) as downloader:
        info = downloader.extract_info(url, download=True)
    if not isinstance(info, dict) or info.get("_type", "video") != "video":
        return Download("unavailable", "the address is a list of videos, not one video")
    files = info.get("requested_downloads") or [{}]
    path = files[0].get("filepath") or ""
    return Download("ok", file=path) if os.path.isfile(path) else Download("other", "the download left no file")


def download_options(folder: str, stem: str, settings: FetchSettings) -> dict[str, Any]:
    """Options for yt_dlp.YoutubeDL: one file, no playlists, no other program than ffmpeg to join streams."""
    from pipeline_src.clips.ffmpeg import ffmpeg_path

    low = f"[height<=?{settings.max_height}]{PROTOCOLS}"
    any_height = PROTOCOLS
    sizes: dict[str, int] = {}

    def watch(progress: dict[str, Any]) -> None:
        sizes[str(progress.get("filename"))] = progress.get("downloaded_bytes") or 0
        if max(sum(sizes.values()), progress.get("total_bytes") or 0) > settings.max_bytes:
            raise _TooLargeError

    return {
        "quiet": True,
        "no_warnings": True,
        "noprogress": True,
        "logger": _Silent(),
        "progress_hooks": [watch],
        "format": f"b{low}/bv*{low}+ba{PROTOCOLS}/bv*{low}/w{any_height}/wv*{any_height}",
        "paths": {"home": folder},
        "outtmpl": {"default": f"{stem}.%(ext)s"},
        "noplaylist": True,
        "extract_flat": "in_playlist",
        "playlist_items": "1",
        "cachedir": False,
        "overwrites": True,
        "continuedl": False,
        "updatetime": False,
        "fixup": "never",
        "postprocessors": [],
        "external_downloader": {"default": "native"},
        "hls_prefer_native": True,
        "ffmpeg_location": ffmpeg_path(),
        "socket_timeout": min(20.0, settings.timeout_s),
        "retries": 2,
        "fragment_retries": 2,
        "extractor_retries": 1,
        "skip_unavailable_fragments": False,
    }


def classify(error: BaseException, url: str, settings: FetchSettings) -> Download:
    """What an error of yt-dlp stands for: unavailable for good, over_limits, timed_out, or other."""
    chain = list(_causes(error))
    if any(isinstance(cause, _TooLargeError) or getattr(cause, "errno", None) == errno.EFBIG for cause in chain):
        return too_large(settings.max_bytes)
    text = re.sub(r"^(\x1b\[[0-9;]*m)*ERROR:(\x1b\[[0-9;]*m)* *", "", str(error)) or type(error).__name__
    codes = [getattr(cause, "status", None) for cause in chain]
    status = next((code for code in codes if isinstance(code, int)), None)
    if BLOCKED.search(text) or status == 429:
        return Download("other", text)
    if status is not None:
        return Download("unavailable" if 400 <= status < 500 and status != 408 else "other", text)
    if "timed out" in text.lower():
        return Download("timed_out", text)
    return Download("unavailable" if GONE.search(text) else "other", text)


def _causes(error: BaseException) -> Iterable[BaseException]:
    seen: set[int] = set()
    waiting: list[Any] = [error]
    while waiting:
        cause = waiting.pop()
        if not isinstance(cause, BaseException) or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        waiting += [cause.__cause__, cause.__context__, getattr(cause, "cause", None)]
        waiting += list(getattr(cause, "exc_info", None) or ())


def _compile_patterns() -> None:
    """Compile the URL patterns of all sites once, in the process that every download is forked from."""
    for extractor in yt_dlp.extractor.gen_extractor_classes():
        extractor.suitable("https://example.org/video.mp4")


_compile_patterns()
