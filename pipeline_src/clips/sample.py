"""Videos that YouTube's search finds, through yt-dlp: at random by prefixes of ids, or by search terms.

Random prefixes: asked for "watch?v=abcd", the search returns videos whose ids are "abcd-" and six more characters,
in any case (Zhou et al., Counting YouTube Videos via Random Prefix Sampling, IMC 2011). Ids are as good as random,
so these are a random sample of all videos that can be searched.
"""

import csv
import hashlib
import itertools
import json
import os
import random
import string
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from pipeline_src.clips.outcomes import ADVICE, PASSING, classify
from pipeline_src.clips.rows import seconds_text, short_reason
from pipeline_src.clips.sources import YOUTUBE_ID
from pipeline_src.errors import UserError
from pipeline_src.files import whole_file
from pipeline_src.settings.clips import FetchSettings, YoutubeSource

PREFIX_ALPHABET = string.ascii_letters + string.digits + "_"
PREFIX_LENGTH = 4
# So many searches without anything new mean that searching has stopped to work.
MOST_FRUITLESS = 500


@dataclass(frozen=True)
class Result:
    """A search result; `duration_s` is None for live streams and others without a length."""

    id: str
    duration_s: float | None


class Searcher:
    """YouTube's search through yt-dlp.

    Args:
        settings: proxy, cookies and retries.
        extractors: yt-dlp extractors that are asked before its own.
    """

    def __init__(self, settings: FetchSettings, extractors: Sequence[Any] = ()) -> None:
        import yt_dlp

        from pipeline_src.clips.downloader import search_options

        self._site = yt_dlp.YoutubeDL(search_options(settings), auto_init=False)
        for extractor in extractors:
            self._site.add_info_extractor(extractor)
        self._site.add_default_info_extractors()

    def search(self, text: str, count: int) -> list[Result]:
        """Up to `count` results, from as many pages as that takes.

        Raises:
            Exception: what yt-dlp or the site made fail; `outcomes.classify` tells what it stands for.
        """
        found = self._site.extract_info(f"ytsearch{count}:{text}", download=False, process=False)
        entries = itertools.islice((found or {}).get("entries") or (), count)
        return [_result(entry) for entry in entries if isinstance(entry, dict)]


def sample_videos(source: YoutubeSource, name: str, seed: int, searcher: Searcher, answers: Path, out: Path) -> None:
    """Search until enough videos are found, and write them to a CSV file: video, duration_s, found_by.

    Args:
        source: how many, and how to search.
        name: the collection, for messages.
        seed: of the prefixes.
        searcher: asks YouTube.
        answers: JSON lines with the answers so far, which are not asked for again.
        out: the CSV file.

    Raises:
        UserError: the search is blocked, or finds nothing any more; the answers so far are kept.
    """
    known = _read_answers(answers)
    found: dict[str, tuple[float, str]] = {}
    progress = tqdm(desc="search", total=source.videos, unit="video", file=sys.stderr, mininterval=2)
    fruitless = 0
    answers.parent.mkdir(parents=True, exist_ok=True)
    with answers.open("a+b") as ended:  # A line that was cut off must not swallow the next one.
        if ended.tell():
            ended.seek(-1, os.SEEK_END)
            if ended.read(1) != b"\n":
                ended.write(b"\n")
    with answers.open("a", encoding="utf-8") as file:
        for text, prefix in _searches(source, seed):
            results = known.get((text, source.results_per_search))
            if results is None:
                results = _ask(searcher, text, source, name, len(found))
                told = {"search": text, "count": source.results_per_search, "results": [asdict(one) for one in results]}
                file.write(json.dumps(told) + "\n")
                file.flush()
                time.sleep(source.pause_s)
            before = len(found)
            for result in results:
                if len(found) < source.videos and result.id not in found and _fits(result, prefix, source):
                    found[result.id] = (result.duration_s or 0.0, text)
            progress.update(len(found) - before)
            fruitless = 0 if len(found) > before else fruitless + 1
            if len(found) >= source.videos or fruitless >= MOST_FRUITLESS:
                break
    progress.close()
    if not found or (len(found) < source.videos and not source.terms):
        raise UserError(
            f"collections.{name}.source: the last {fruitless} searches found no new video of {source.seconds[0]:g}"
            f" to {source.seconds[1]:g} s ({len(found)} of {source.videos} found) - widen source.seconds, or try again"
            " later"
        )
    if len(found) < source.videos:
        print(
            f"collections.{name}.source.terms: {len(found)} of {source.videos} videos found; add terms or raise"
            " source.results_per_search",
            file=sys.stderr,
        )
    with whole_file(out) as part, part.open("w", newline="", encoding="utf-8") as table:
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(["video", "duration_s", "found_by"])
        writer.writerows([video, seconds_text(length), text] for video, (length, text) in found.items())


def random_prefixes(seed: int) -> Iterator[str]:
    """Prefixes of video ids without end, in an order that the seed decides."""
    for number in itertools.count():
        digest = hashlib.sha256(f"{seed}\0{number}".encode()).digest()
        drawn = random.Random(int.from_bytes(digest, "big"))
        yield "".join(drawn.choice(PREFIX_ALPHABET) for _ in range(PREFIX_LENGTH))


def _searches(source: YoutubeSource, seed: int) -> Iterator[tuple[str, str]]:
    """Search texts, with the prefix that results must have."""
    if source.terms:
        yield from ((term, "") for term in source.terms)
    else:
        yield from ((f'"watch?v={prefix}"', f"{prefix}-") for prefix in random_prefixes(seed))


def _fits(result: Result, prefix: str, source: YoutubeSource) -> bool:
    return (
        YOUTUBE_ID.fullmatch(result.id) is not None
        and result.id.lower().startswith(prefix.lower())
        and result.duration_s is not None
        and source.seconds[0] <= result.duration_s <= source.seconds[1]
    )


def _ask(searcher: Searcher, text: str, source: YoutubeSource, name: str, found: int) -> list[Result]:
    try:
        return searcher.search(text, source.results_per_search)
    except Exception as error:
        status, reason = classify(error)
        reason = short_reason(reason)
        then = ADVICE.get(status, "try again later") if status in PASSING else "see the reason"
        raise UserError(
            f"collections.{name}.source: the search for {text} failed ({status}: {reason}) with {found} of"
            f" {source.videos} videos found, which are kept - {then}"
        ) from error


def _result(entry: dict[str, Any]) -> Result:
    live = entry.get("live_status") in ("is_live", "is_upcoming", "post_live") or entry.get("is_live")
    duration = entry.get("duration")
    return Result(str(entry.get("id") or ""), None if live or duration is None else float(duration))


def _read_answers(path: Path) -> dict[tuple[str, int], list[Result]]:
    """Answers by search and count; a line that was cut off is asked for again."""
    known = {}
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                told = json.loads(line)
                known[told["search"], told["count"]] = [Result(**one) for one in told["results"]]
            except (ValueError, KeyError, TypeError):
                continue
    return known
