"""What the failures of downloads stand for, which of them may pass, and what to do about them."""

import errno
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from pipeline_src.clips.rows import Status

# These may succeed another day; `snakemake retry_failed` tries them again. All others stay as they are.
PASSING: frozenset[Status] = frozenset({"missing", "bot_check", "rate_limited", "timed_out", "other"})
ADVICE: dict[Status, str] = {
    "bot_check": "the site asks for proof that this is no bot: wait some hours, lower the `fetch` resource, raise"
    " fetch.sleep_s, set fetch.cookies to those of a logged-in browser or fetch.proxy to another address, then run"
    " `snakemake retry_failed`",
    "rate_limited": "too many requests: lower the `fetch` resource or raise fetch.sleep_s, then run `snakemake"
    " retry_failed`",
    "timed_out": "raise fetch.timeout_s, then run `snakemake retry_failed`",
    "missing": "bring the files back, then run `snakemake retry_failed`",
    "refused": "fetch.hosts and fetch.allow_private say which addresses may be reached",
}
# What sites and yt-dlp say, most specific first.
MESSAGES: tuple[tuple[Status, str], ...] = (
    ("bot_check", r"not a bot|captcha|unusual traffic|confirm you.re human"),
    ("refused", r"no connection adapters|unknown url type|unsupported url scheme"),
    ("rate_limited", r"too many requests|HTTP Error 429|rate.?limit|try again later"),
    ("age", r"confirm your age|age.?restrict|inappropriate for some users|age.?gate"),
    ("region", r"your country|your location|your region|geo.?restrict|geo.?block|not available from your"),
    ("private", r"private|members.only|only available to .*(members|subscribers)|log ?in|sign in|subscribers"),
    ("timed_out", r"timed out|timeout"),
    (
        "unavailable",
        r"unsupported url|no video formats|removed|unavailable|not available|deleted|terminated|does not exist"
        r"|not found|\bdrm\b|copyright|file:// urls|live event|is offline|premieres in|no longer live",
    ),
)


class OverLimitsError(Exception):
    """A download is larger than allowed."""


class RefusedError(Exception):
    """An address, host or program that fetching may not use."""


class TooShortError(Exception):
    """The video does not have the section asked for."""


class UnavailableError(Exception):
    """The address has no single, finished video."""


class NoVideoError(Exception):
    """What came is no video, or none that is read."""


OWN: tuple[tuple[type[Exception], Status], ...] = (
    (OverLimitsError, "over_limits"),
    (RefusedError, "refused"),
    (TooShortError, "too_short"),
    (UnavailableError, "unavailable"),
    (NoVideoError, "no_video"),
    (MemoryError, "over_limits"),
)


def classify(error: BaseException) -> tuple[Status, str]:
    """The status that an error of a download stands for, and its message."""
    chain = list(_causes(error))
    for kind, status in OWN:
        for cause in chain:
            if isinstance(cause, kind):
                return status, str(cause) or type(cause).__name__
    if any(getattr(cause, "errno", None) == errno.EFBIG for cause in chain):
        return "over_limits", "larger than fetch.max_bytes"
    text = re.sub(r"^(\x1b\[[0-9;]*m)*ERROR:(\x1b\[[0-9;]*m)* *", "", str(error)) or type(error).__name__
    said = _said(text, chain)
    code = next((code for code in (getattr(cause, "status", None) for cause in chain) if isinstance(code, int)), None)
    if code is None and (stated := re.search(r"HTTP Error (\d{3})", said)):
        code = int(stated[1])
    if code == 429:
        return "rate_limited", said
    if code in (408, 504):
        return "timed_out", said
    for name, pattern in MESSAGES if code is None or code < 500 else ():
        if (code is None or name in ("bot_check", "age", "region", "private")) and re.search(pattern, said, re.I):
            return name, said
    if code is not None and 400 <= code < 500:
        return "unavailable", said
    if any(isinstance(cause, TimeoutError) for cause in chain):
        return "timed_out", said
    return "other", said


def _said(text: str, chain: Iterable[BaseException]) -> str:
    """A message without the extractor's name and the video's, which may hold any word and parts of its address."""
    names = [name for cause in chain if (name := getattr(cause, "video_id", None))]
    for name in names:
        text = text.replace(f"] {name}: ", "] ")
    return re.sub(r"^\[[^\]]+\] " if names else r"^\[[^\]]+\] [^:]*: ", "", text)


def summary(statuses: Iterable[str]) -> list[str]:
    """Lines that say how many clips ended how, which of the failures may pass, and what to do."""
    counts = Counter(statuses)
    failed = {name: count for name, count in sorted(counts.items()) if name not in ("ok", "spare")}
    total = sum(failed.values()) + counts["ok"]
    lines = [f"{counts['ok']} of {total} clips ok" + "".join(f", {count} {name}" for name, count in failed.items())]
    passing = sum(count for name, count in failed.items() if name in PASSING)
    if passing:
        lines.append(f"{passing} of the failures may pass: `snakemake retry_failed` tries them again")
    lines += [f"{name}: {ADVICE[name]}" for name in failed if name in ADVICE]
    return lines


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    waiting: list[Any] = [error]
    while waiting:
        cause = waiting.pop(0)
        if not isinstance(cause, BaseException) or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        waiting += [cause.__cause__, cause.__context__, getattr(cause, "cause", None)]
        waiting += [*(getattr(cause, "exc_info", None) or ()), *(getattr(cause, "unexpected_errors", None) or ())]
