"""Searching YouTube through yt-dlp's own extractor interface, with a stand-in for its search."""

import csv
import json
import random
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from yt_dlp.extractor.common import SearchInfoExtractor

from pipeline_src.clips.sample import PREFIX_ALPHABET, Searcher, random_prefixes, sample_videos
from pipeline_src.clips.sources import list_source
from pipeline_src.errors import UserError
from pipeline_src.settings.clips import CollectionSettings, FetchSettings, YoutubeSource
from pipeline_src.stages import sample_videos as stage
from pipeline_src.stages.command import run

PAGE = 20
IDS = PREFIX_ALPHABET + "-"


class StandIn(SearchInfoExtractor):
    """Answers searches of yt-dlp page by page, like YouTube, and remembers what it was asked."""

    _SEARCH_KEY = "ytsearch"
    IE_NAME = "youtube:search"

    def __init__(self, blocked_after: int = 10**9) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.pages: list[int] = []
        self.blocked_after = blocked_after

    def _search_results(self, query: str) -> Iterator[dict[str, Any]]:
        if len(self.asked) >= self.blocked_after:
            raise RuntimeError("Sign in to confirm you're not a bot")
        self.asked.append(query)
        self.pages.append(0)
        found = re.fullmatch(r'"watch\?v=(\w{4})"', query)
        drawn = random.Random(query)
        for number in range(1000):
            if number % PAGE == 0:
                self.pages[-1] += 1
            rest = "".join(drawn.choice(IDS) for _ in range(6))
            if found and number >= 12:
                return
            prefix = f"{found[1].swapcase() if number % 2 else found[1]}-" if found else "term-"
            entry = {"_type": "url", "ie_key": "Youtube", "id": f"{prefix}{rest}", "url": f"https://youtu.be/{rest}"}
            entry["duration"] = [60, 300, None, 4, 100_000, 45][number % 6]
            if number % 6 == 5:
                entry["live_status"] = "is_live"
            yield entry
            if number % 6 == 0:
                yield entry  # The same again, as YouTube's pages do.
                yield {**entry, "id": "zzzz-unasked"}
                yield {**entry, "id": f"zzzz-{rest}"}


def sample(
    tmp_path: Path, standin: StandIn, *, seed: int = 0, **source: Any
) -> tuple[list[dict[str, str]], YoutubeSource]:
    settings = YoutubeSource.model_validate({"kind": "youtube", "pause_s": 0, **source})
    out = tmp_path / "pool" / "sample" / "videos.csv"
    searcher = Searcher(FetchSettings(), [standin])
    sample_videos(settings, "pool", seed, searcher, out.with_name("answers.jsonl"), out)
    with out.open(newline="") as file:
        return list(csv.DictReader(file)), settings


def test_random_prefixes_find_videos_that_are_long_enough_and_not_live_each_once(tmp_path: Path) -> None:
    standin = StandIn()
    rows, _ = sample(tmp_path, standin, videos=30)
    assert len(rows) == len({row["video"] for row in rows}) == 30
    prefixes = random_prefixes(0)
    for asked in standin.asked:
        assert asked == f'"watch?v={next(prefixes)}"'
    for row in rows:
        prefix = row["found_by"].removeprefix('"watch?v=').removesuffix('"')
        assert row["video"].lower().startswith(f"{prefix.lower()}-")
        assert 10 <= float(row["duration_s"]) <= 3600
    # Of twelve results of a search four have a length that fits, and searching ends when there are enough.
    assert len(standin.asked) == 8


def test_prefixes_depend_on_the_seed_and_hold_no_dash() -> None:
    one, two = ([next(prefixes) for _ in range(50)] for prefixes in (random_prefixes(1), random_prefixes(2)))
    assert one == [next(prefixes) for prefixes in [random_prefixes(1)] for _ in range(50)]
    assert one != two
    assert all(re.fullmatch(r"[A-Za-z0-9_]{4}", prefix) for prefix in one)


def test_terms_are_asked_once_and_only_as_many_pages_as_results_are_wanted(tmp_path: Path) -> None:
    standin = StandIn()
    rows, _ = sample(tmp_path, standin, videos=1000, terms=["juggling", "a 'quoted'; term"], results_per_search=60)
    assert standin.asked == ["juggling", "a 'quoted'; term"]
    assert max(standin.pages) <= 60 // PAGE
    assert 0 < len(rows) < 60


def test_more_videos_keep_those_found_and_ask_only_what_is_new(tmp_path: Path) -> None:
    first, second = StandIn(), StandIn()
    few, _ = sample(tmp_path, first, videos=10)
    many, _ = sample(tmp_path, second, videos=25)
    assert many[:10] == few
    assert not set(first.asked) & set(second.asked)
    assert sample(tmp_path, StandIn(blocked_after=0), videos=10)[0] == few


def test_a_blocked_search_keeps_what_it_has_and_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"bot_check.*8 of 30 videos found, which are kept - .*fetch\.cookies"):
        sample(tmp_path, StandIn(blocked_after=2), videos=30)
    assert not (tmp_path / "pool/sample/videos.csv").exists()
    with (tmp_path / "pool/sample/answers.jsonl").open("a") as file:
        file.write('{"search": "cut off')
    standin = StandIn()
    rows, _ = sample(tmp_path, standin, videos=30)
    assert len(rows) == 30
    assert len(standin.asked) == 6
    again = StandIn(blocked_after=0)
    assert sample(tmp_path, again, videos=30)[0] == rows


def test_a_search_that_finds_nothing_any_more_ends(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the last 500 searches found no new video"):
        sample(tmp_path, StandIn(), videos=30, seconds=[5000, 6000])


def test_what_was_found_is_planned_at_random_places(tmp_path: Path) -> None:
    sample(tmp_path, StandIn(), videos=5)
    collection = CollectionSettings.model_validate({"source": {"kind": "youtube", "videos": 5}})
    videos = list_source(collection, "pool", tmp_path / "pool").videos
    assert len(videos) == 5
    for video in videos:
        assert video.path == f"https://www.youtube.com/watch?v={video.identity}"
        assert video.duration_s in (60, 300)


@pytest.mark.parametrize("wrong", ["proxy", "cookies"])
def test_a_wrong_proxy_or_cookie_file_is_one_line_without_what_it_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture, wrong: str
) -> None:
    jar = tmp_path / "cookies.txt"
    jar.write_text("# Netscape HTTP Cookie File\nS3CRET\n")
    settings = {
        "source": {"kind": "youtube", "videos": 1},
        "fetch": {"cookies": str(jar) if wrong == "cookies" else None},
        "seed": 0,
    }
    if wrong == "proxy":
        monkeypatch.setenv("http_proxy", "http://me:S3C/RET@proxy.example:3128")
    files = ["--answers", str(tmp_path / "answers.jsonl"), "--out", str(tmp_path / "videos.csv")]
    arguments = ["sample_videos", "--settings", json.dumps(settings), "--collection", "pool", *files]
    monkeypatch.setattr(sys, "argv", arguments)
    with pytest.raises(SystemExit) as raised:
        run(stage.main)
    told = capfd.readouterr().err
    assert (raised.value.code, told.count("\n")) == (2, 1)
    assert ("environment's proxy" if wrong == "proxy" else "fetch.cookies: ") in told
    assert "S3C" not in told


def test_what_a_search_says_is_told_without_secrets(tmp_path: Path) -> None:
    class Broken(StandIn):
        def _search_results(self, query: str) -> Iterator[dict[str, Any]]:
            raise RuntimeError("Failed to parse: http://me:S3CRET@proxy.example:3128/?key=S3CRET\nS3CRET")

    with pytest.raises(UserError, match="Failed to parse: http://proxy") as raised:
        sample(tmp_path, Broken(), videos=1)
    assert "S3CRET" not in str(raised.value)
