"""The child process of a download: yt-dlp with limits, and sections copied out of the video."""

import io
import os
import select
import signal
import threading
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

# Before yt-dlp is imported: nothing but this project decides what runs in this process.
os.environ["YTDLP_NO_PLUGINS"] = "1"

import yt_dlp
import yt_dlp.cookies
import yt_dlp.downloader.external
from yt_dlp.networking import Request

from pipeline_src.clips.cookies import read_cookies
from pipeline_src.clips.guard import check_url, install
from pipeline_src.clips.outcomes import NoVideoError, OverLimitsError, TooShortError, UnavailableError, classify
from pipeline_src.clips.ranges import Budget, NoRangesError, RangeFile
from pipeline_src.clips.rows import Piece, Wanted, short_reason
from pipeline_src.clips.section import CopyError, Video
from pipeline_src.clips.sections import section_start
from pipeline_src.settings.clips import FetchSettings

# It asks ffmpeg for its version before it downloads a list of fragments, which it then does itself.
yt_dlp.downloader.external.FFmpegFD.available = classmethod(lambda cls, path=None: False)

# It would print lines of a cookie file past the logger.
yt_dlp.cookies.write_string = lambda *told, **how: None

# Protocols that yt-dlp downloads itself, over http and https only.
WHOLE = "[protocol~='^(https?|m3u8_native|m3u8|http_dash_segments)$']"
RANGES = "[protocol~='^https?$']"
CHUNK_BYTES = 10_000_000
# A page is read whole, however long it is.
MOST_MEMORY = 768 << 20


class _Silent:
    def debug(self, message: str) -> None:
        """Say nothing."""

    info = warning = error = debug


def run_child(url: str, wanted: list[Wanted], folder: str, settings: FetchSettings, result: Connection) -> None:
    """Fetch sections of one video and send a Piece for each through `result`; the body of a process of its own.

    Args:
        url: an http or https address.
        wanted: the sections.
        folder: where files go.
        settings: limits.
        result: where the list of pieces is sent.
    """
    os.setsid()  # One group, so that whatever this starts ends with it.
    threading.Thread(target=_end_with_reader, args=(result.fileno(),), daemon=True).start()
    try:
        _limit_files(settings.max_bytes)
        check_url(url, settings)
        install(settings)
        pieces = fetch_pieces(url, wanted, Path(folder), settings)
    except BaseException as error:  # Whatever a site makes yt-dlp do is this video's failure only.
        pieces = [Piece(*classify(error))] * len(wanted)
    result.send([_told(piece, url, folder) for piece in pieces])


def fetch_pieces(url: str, wanted: list[Wanted], folder: Path, settings: FetchSettings) -> list[Piece]:
    """Fetch sections of a video, each into a file of its own, or where that is impossible the video once for all.

    Raises:
        Exception: what yt-dlp, the server or the file made fail; `classify` tells what it stands for.
    """
    if all(want.start_s == 0 and want.duration_s is None for want in wanted):
        return _whole(url, wanted, folder, settings)
    try:
        return _sections(url, wanted, folder, settings)
    except (NoRangesError, CopyError):
        return _whole(url, wanted, folder, settings)


def options(folder: Path, name: str, settings: FetchSettings, formats: str) -> dict[str, Any]:
    """Options for yt_dlp.YoutubeDL: one video, no playlist, no other program, the smallest format that is large enough.

    Args:
        folder: where the file goes.
        name: of the file, without suffix.
        settings: limits.
        formats: which formats may be chosen, in yt-dlp's syntax.
    """
    sizes: dict[str, int] = {}

    def watch(progress: dict[str, Any]) -> None:
        sizes[str(progress.get("filename"))] = progress.get("downloaded_bytes") or 0
        if max(sum(sizes.values()), progress.get("total_bytes") or 0) > settings.max_bytes:
            raise OverLimitsError(f"larger than fetch.max_bytes {settings.max_bytes}")

    return {
        **_common_options(settings),
        "progress_hooks": [watch],
        "format": formats,
        # The smallest first, and direct files before lists of fragments.
        "format_sort": ["+height", "proto", "+size", "+br"],
        "format_sort_force": True,
        "paths": {"home": str(folder)},
        "outtmpl": {"default": f"{name}.%(ext)s"},
        "noplaylist": True,
        "extract_flat": "in_playlist",
        "playlist_items": "1",
        "overwrites": True,
        "continuedl": False,
        "updatetime": False,
        "fixup": "never",
        "postprocessors": [],
        "external_downloader": {"default": "native"},
        "hls_prefer_native": True,
        "http_chunk_size": CHUNK_BYTES,
        "retries": settings.retries,
        "fragment_retries": settings.retries,
        "skip_unavailable_fragments": False,
        "ratelimit": settings.rate_limit,
    }


def search_options(settings: FetchSettings) -> dict[str, Any]:
    """Options for yt_dlp.YoutubeDL to search with."""
    return {**_common_options(settings), "extract_flat": True, "lazy_playlist": True}


def _common_options(settings: FetchSettings) -> dict[str, Any]:
    found: dict[str, Any] = {
        "quiet": True,
        "no_warnings": True,
        "noprogress": True,
        "logger": _Silent(),
        "cachedir": False,
        "js_runtimes": {},
        "socket_timeout": min(20.0, settings.timeout_s),
        "extractor_retries": settings.retries,
    }
    if settings.proxy:
        found["proxy"] = settings.proxy
    if settings.cookies:
        # As text: yt-dlp writes cookies back when it ends, but other jobs read the file, too.
        found["cookiefile"] = io.StringIO(read_cookies(settings.cookies))
    return found


def _sections(url: str, wanted: list[Wanted], folder: Path, settings: FetchSettings) -> list[Piece]:
    budget = Budget(settings)
    with yt_dlp.YoutubeDL(options(folder, wanted[0].name, settings, range_formats(settings))) as site:
        info = _one_video(site.extract_info(url, download=False))
        chosen = info.get("requested_formats") or [info]
        if any(
            not str(entry.get("protocol")).startswith("http") or "dash" in str(entry["protocol"]) for entry in chosen
        ):
            raise NoRangesError("a list of fragments")
        files = [_range_file(site, entry, budget, settings) for entry in chosen]
        with Video(files, info.get("duration")) as video:
            return [_piece(video, want, folder) for want in wanted]


def _range_file(site: Any, entry: Mapping[str, Any], budget: Budget, settings: FetchSettings) -> RangeFile:
    address = str(entry["url"])
    check_url(address, settings)
    fixed = dict(entry.get("http_headers") or {})

    def ask(headers: Mapping[str, str]) -> Any:
        return site.urlopen(Request(address, headers={**fixed, **headers}))

    return RangeFile(ask, budget, settings.retries)


def _piece(video: Video, want: Wanted, folder: Path) -> Piece:
    try:
        start = _start(want, video.length_s)
        out = folder / f"{want.name}.section"
        inside = video.copy(start, want.duration_s, out)
        return Piece("ok", file=str(out), start_s=inside, video_start_s=start)
    except TooShortError as error:
        return Piece(*classify(error))


def _start(want: Wanted, length_s: float | None) -> float:
    """Where a section starts in a video of that length."""
    if want.start_s is not None:
        start = want.start_s
    elif length_s is None:
        raise NoVideoError("its length is unknown, so no place in it can be drawn; give a start in the plan")
    else:
        start = section_start(length_s, want.duration_s, want.section, want.seed, want.identity)
    if length_s is not None:
        room = length_s - start
        if room <= 0 or min(room, want.duration_s or room) < want.shortest_s:
            raise TooShortError(f"{length_s:.1f} s long, shorter than the clip's start and shortest_s ask for")
    return start


def _whole(url: str, wanted: list[Wanted], folder: Path, settings: FetchSettings) -> list[Piece]:
    """Download the video as one file, whose sections decoding finds."""
    name = wanted[0].name
    with yt_dlp.YoutubeDL(options(folder, name, settings, whole_formats(settings))) as site:
        info = _one_video(site.extract_info(url, download=True))
    files = info.get("requested_downloads") or [{}]
    path = files[0].get("filepath") or ""
    if not os.path.isfile(path):
        raise NoVideoError("the download left no file")
    if os.path.getsize(path) > settings.max_bytes:
        raise OverLimitsError(f"larger than fetch.max_bytes {settings.max_bytes}")
    with open(path, "rb") as file, Video([file], info.get("duration")) as video:
        length = video.length_s
    pieces = []
    for want in wanted:
        try:
            start = _start(want, length)
            pieces.append(Piece("ok", file=path, start_s=start, video_start_s=start))
        except TooShortError as error:
            pieces.append(Piece(*classify(error)))
    return pieces


def range_formats(settings: FetchSettings) -> str:
    """Picture and sound, in one file or two that can be read in pieces; else as for the whole video."""
    high = f"[height>=?{settings.min_height}]{RANGES}"
    pieces = f"bv*{high}+ba{RANGES}/b{high}/bv*{high}/wv*{RANGES}+ba{RANGES}/w{RANGES}/wv*{RANGES}"
    return f"{pieces}/{whole_formats(settings)}"


def whole_formats(settings: FetchSettings) -> str:
    """One file each: joining two would need a program that opens what was downloaded."""
    high = f"[height>=?{settings.min_height}]{WHOLE}"
    return f"b{high}/w{WHOLE}/bv*{high}/wv*{WHOLE}"


def _one_video(info: Any) -> dict[str, Any]:
    if not isinstance(info, dict) or info.get("_type", "video") != "video":
        raise UnavailableError("the address is a list of videos, not one video")
    if info.get("is_live") or info.get("live_status") in ("is_live", "is_upcoming"):
        raise UnavailableError("a live stream")
    return info


def _limit_files(most: int) -> None:
    """The last line of defence: no file of this process grows much beyond the limit, nor does its memory."""
    import resource

    margin = most + (1 << 20)
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (margin if hard < 0 else min(margin, hard), hard))
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_MEMORY if hard < 0 else min(MOST_MEMORY, hard), hard))


def _told(piece: Piece, url: str, folder: str) -> Piece:
    return Piece(piece.status, short_reason(piece.reason, url, folder), piece.file, piece.start_s, piece.video_start_s)


def _end_with_reader(file: int) -> None:
    """End this process group as soon as nobody reads the pipe any more: the parent was killed."""
    watch = select.poll()
    watch.register(file, 0)  # No event is asked for; the end of the reader is always told.
    watch.poll()
    os.killpg(0, signal.SIGKILL)


def _compile_patterns() -> None:
    """Compile the URL patterns of all sites once, in the process that every download is forked from."""
    for extractor in yt_dlp.extractor.gen_extractor_classes():
        extractor.suitable("https://example.org/video.mp4")


_compile_patterns()
