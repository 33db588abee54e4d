"""What became of a download: kinds that may pass, kinds that will not, and what people are told."""

from typing import Any

import pytest

from pipeline_src.clips.downloader import _one_video
from pipeline_src.clips.outcomes import UnavailableError, classify, summary
from pipeline_src.clips.rows import short_reason


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("ERROR: [youtube] abc: Sign in to confirm you're not a bot. Use --cookies", "bot_check"),
        ("ERROR: [youtube] abc: Sign in to confirm you\u2019re not a bot", "bot_check"),
        ("ERROR: [youtube] abc: Private video. Sign in if you've been granted access", "private"),
        ("ERROR: [youtube] abc: Join this channel to get access to members-only content", "private"),
        ("ERROR: [youtube] abc: Sign in to confirm your age. This video may be inappropriate", "age"),
        ("ERROR: [youtube] abc: The uploader has not made this video available in your country", "region"),
        ("ERROR: [youtube] abc: Video unavailable. This video has been removed by the uploader", "unavailable"),
        ("ERROR: [youtube] abc: This live event will begin in 3 hours.", "unavailable"),
        ("ERROR: [vimeo] 1: HTTP Error 429: Too Many Requests", "rate_limited"),
        ("ERROR: The read operation timed out", "timed_out"),
        ("ERROR: something new", "other"),
    ],
)
def test_what_may_pass_is_told_from_what_will_not(text: str, status: str) -> None:
    """A blocked video must stay retryable; a removed one must not be asked for for ever."""
    assert classify(RuntimeError(text))[0] == status


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("ERROR: [generic] private_lesson: Unable to download webpage: [Errno 111] Connection refused", "other"),
        ("ERROR: [generic] removed login drm: Unable to download webpage: Remote end closed connection", "other"),
        ("ERROR: unable to download video data: HTTP Error 503: Service Unavailable. Giving up", "other"),
        ("ERROR: unable to download video data: HTTP Error 429: Too Many Requests", "rate_limited"),
        ("ERROR: unable to download video data: HTTP Error 404: Not Found", "unavailable"),
    ],
)
def test_a_videos_name_and_a_busy_server_say_nothing_lasting(text: str, status: str) -> None:
    assert classify(RuntimeError(text))[0] == status


def test_the_summary_counts_and_advises() -> None:
    lines = summary(["ok"] * 5 + ["bot_check"] * 2 + ["private", "spare"])
    assert lines[0] == "5 of 8 clips ok, 2 bot_check, 1 private"
    assert "2 of the failures may pass" in lines[1]
    assert "fetch.cookies" in lines[2]


def test_reasons_hold_no_folder_query_address_or_control_sign() -> None:
    text = "\n\x1b[31mfile:/home/me/v.mp4: bad\x07 [h264 @ 0x55d8] at https://h/p?token=1#x y\nnext line"
    assert short_reason(text, "/home/me/v.mp4") == "v.mp4: bad [h264] at https://h/p y"
    assert len(short_reason("x" * 999)) == 160


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Unsupported URL: http://h/v?S3CRET", "Unsupported URL: v"),
        ("Unsupported URL: HTTP://H/v?S3CRET", "Unsupported URL: v"),
        ("Unsupported URL: http://h/v?S3CRET/S3CRET.mp4 it is", "Unsupported URL: v it is"),
        ("[x] v?sig=a:S3CRET: no", "[x] v no"),
        ("v#'S3CRET' of http://me:S3CRET@cdn/w?\"S3CRET no", "v of http://cdn/w no"),
        ("stream #0:1 of 'http://h/v': what? no", "stream #0:1 of 'http://h/v': what? no"),
    ],
)
def test_reasons_hold_no_secret_of_an_address(text: str, told: str) -> None:
    assert short_reason(text, "http://h/v?S3CRET") == told


def test_reasons_name_files_whatever_signs_these_have() -> None:
    assert short_reason("/home/me/a#b?c.mp4: bad", "/home/me/a#b?c.mp4") == "a#b?c.mp4: bad"


@pytest.mark.parametrize("info", [None, {"_type": "playlist"}, {"is_live": True}, {"live_status": "is_upcoming"}])
def test_a_list_and_a_live_stream_are_no_video_to_be_had(info: Any) -> None:
    """Neither is a broken file, and neither is worth a retry."""
    with pytest.raises(UnavailableError) as caught:
        _one_video(info)
    assert classify(caught.value)[0] == "unavailable"
