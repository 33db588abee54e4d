"""A cookie file is checked before yt-dlp reads it, which quotes what it does not understand."""

import io
import itertools
from pathlib import Path

import pytest
from yt_dlp.cookies import YoutubeDLCookieJar

from pipeline_src.clips import downloader  # noqa: F401 - it makes yt-dlp silent
from pipeline_src.clips.cookies import read_cookies
from pipeline_src.errors import UserError

HEADER = "# Netscape HTTP Cookie File\n"
GOOD = "videos.example\tFALSE\t/\tFALSE\t2147483647\tname\tS3CRET\n"


def jar(folder: Path, text: str) -> str:
    path = folder / "cookies.txt"
    path.write_bytes(text.encode())
    return str(path)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (HEADER + GOOD.replace("\t", " "), 2),
        (HEADER + "# mine\n\n" + GOOD + GOOD.replace("2147483647", "never"), 5),
        (HEADER + GOOD.replace("videos", ".videos"), 2),
        (HEADER + GOOD.replace("FALSE", "TRUE"), 2),
        (HEADER + "#HttpOnly_#HttpOnly_S3CRET\n", 2),
        (HEADER + GOOD.replace("2147483647", "9" * 400), 2),
        (HEADER + GOOD.rstrip("\n") + "\tmore\n", 2),
        (GOOD, 1),
        ('[{"name": "S3CRET"}]', 1),
        ("", 1),
    ],
)
def test_a_wrong_line_is_told_by_its_number_without_what_it_holds(tmp_path: Path, text: str, line: int) -> None:
    path = jar(tmp_path, text)
    with pytest.raises(UserError) as raised:
        read_cookies(path)
    told = str(raised.value)
    assert told.startswith(f"fetch.cookies: {path}, line {line} - allowed: ")
    assert "S3CRET" not in told


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"fetch\.cookies: .*none\.txt - cannot be read: No such file"):
        read_cookies(str(tmp_path / "none.txt"))
    (tmp_path / "words.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match=r"words\.txt - allowed: text in UTF-8"):
        read_cookies(str(tmp_path / "words.txt"))


def test_what_is_let_through_yt_dlp_reads_in_silence(tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    """All lines of these fields, of which many are wrong."""
    fields = (
        ("videos.example", ".videos.example", "#HttpOnly_.videos.example", "#HttpOnly_#HttpOnly_v", "", "$v"),
        ("TRUE", "FALSE", "true", ""),
        ("/", ""),
        ("TRUE", "FALSE"),
        ("0", "", "12.5", "1.", "-1", "never", "\u0663"),
        ("name", ""),
        ("value", ""),
    )
    good = 0
    for line in map("\t".join, itertools.product(*fields)):
        path = jar(tmp_path, f"{HEADER}{line}\n")
        try:
            text = read_cookies(path)
        except UserError:
            continue
        good += 1
        YoutubeDLCookieJar(io.StringIO(text)).load()
    assert good > 100
    assert capfd.readouterr() == ("", "")


def test_yt_dlp_quotes_no_line_of_a_cookie_file(capfd: pytest.CaptureFixture) -> None:
    """Should its rules become stricter than ours."""
    YoutubeDLCookieJar(io.StringIO(HEADER + GOOD.replace("\t", " "))).load()
    assert capfd.readouterr() == ("", "")
