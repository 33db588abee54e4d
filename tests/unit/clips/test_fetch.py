"""Downloads: only what is wanted, within limits, and every failure is a row."""

import json
import os
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from pipeline_src.clips.decode import DecodeTask, decode_clip
from pipeline_src.clips.downloader import options
from pipeline_src.clips.fetch import download, fetch_clips
from pipeline_src.clips.ffmpeg import ffmpeg_path
from pipeline_src.clips.outcomes import PASSING
from pipeline_src.clips.rows import ClipRow, Piece, Wanted, plan_text, read_status
from pipeline_src.clips.sections import section_starts
from pipeline_src.errors import UserError
from pipeline_src.settings.clips import DecodeSettings, FetchSettings
from pipeline_src.stages import fetch_clips as stage
from pipeline_src.stages.command import run
from tests.video_server import VideoServer

ROOT = Path(__file__).resolve().parents[3]
LIMITS = FetchSettings(timeout_s=60, max_bytes=2_000_000, retries=0, allow_private=True)


@pytest.fixture(scope="module")
def server(small_video: Path) -> Iterator[VideoServer]:
    with VideoServer(small_video.read_bytes()) as running:
        yield running


@pytest.fixture(scope="module")
def long_video(tmp_path_factory: pytest.TempPathFactory, ffmpeg: Callable[..., None]) -> Path:
    """60 s of 160x120 pixels with a key frame every 2 s and a sweep of sound."""
    path = tmp_path_factory.mktemp("long") / "long.mp4"
    picture = ["-f", "lavfi", "-i", "testsrc2=s=160x120:r=12:d=60", "-f", "lavfi", "-i", "aevalsrc=sin(60*t*t):d=60"]
    ffmpeg(*picture, "-g", "24", "-b:v", "800k", "-pix_fmt", "yuv420p", "-movflags", "+faststart", path)
    return path


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "*")


def clip(name: str, path: str, start: float | None = 0.0, duration: float | None = None, section: int = 0) -> ClipRow:
    return ClipRow(name, path, start, duration, path, "", "", (), section)


def lag(one: np.ndarray, two: np.ndarray) -> int:
    """By how many samples one sound is later than another."""
    products = np.fft.irfft(np.fft.rfft(one, 2 * len(one)) * np.conj(np.fft.rfft(two, 2 * len(two))))
    place = int(np.argmax(products))
    return place if place < len(one) else place - 2 * len(one)


def whole(url: str, folder: Path, settings: FetchSettings = LIMITS) -> Piece:
    (piece,) = download(url, [Wanted("whole", 0.0, None)], folder, settings)
    return piece


def test_a_video_arrives_as_it_is(server: VideoServer, tmp_path: Path, small_video: Path) -> None:
    found = whole(f"{server.address}/good.mp4", tmp_path)
    assert (found.status, found.reason) == ("ok", "")
    assert Path(found.file).read_bytes() == small_video.read_bytes()
    assert [str(path) for path in tmp_path.iterdir()] == [found.file]


@pytest.mark.parametrize("kind", ["mp4", "mkv", "moov at the end"])
def test_only_the_section_is_fetched_and_shows_what_the_video_shows(
    tmp_path: Path, long_video: Path, ffmpeg: Callable[..., None], kind: str
) -> None:
    source = long_video
    if kind != "mp4":
        source = tmp_path / ("source.mkv" if kind == "mkv" else "source.mp4")
        ffmpeg("-i", long_video, "-c", "copy", source)
    decode = DecodeSettings(frame_rate=12, height=48, width=64)
    with VideoServer(source.read_bytes()) as server:
        wanted = [Wanted("a", 31.3, 2.0), Wanted("b", None, 4.0, section=1, seed=5, identity="v")]
        pieces = download(f"{server.address}/v.mp4", wanted, tmp_path, LIMITS.model_copy(update={"max_bytes": 10**8}))
        assert [piece.status for piece in pieces] == ["ok", "ok"], pieces
        assert server.sent["/v.mp4"] < 0.5 * source.stat().st_size
    # Matroska's length is that of the sound, some milliseconds more.
    assert pieces[1].video_start_s == pytest.approx(section_starts(60.0, 4.0, 2, 5, "v")[1], abs=0.02)
    for piece, want in zip(pieces, wanted, strict=True):
        got = decode_clip(DecodeTask(piece.file, piece.start_s, want.duration_s), decode, ffmpeg_path())
        shown = decode_clip(DecodeTask(str(source), piece.video_start_s, want.duration_s), decode, ffmpeg_path())
        assert got.status == "ok"
        assert len(got.frames) == len(shown.frames) == round(12 * (want.duration_s or 0))
        # Matroska rounds times to milliseconds, which may move a frame at the rounding's edge.
        same = np.abs(got.frames.astype(int) - shown.frames).max(axis=(1, 2, 3)) == 0
        assert same.mean() >= (0.7 if kind == "mkv" else 1.0)
        assert len(got.sound) == len(shown.sound)
        assert abs(lag(got.sound, shown.sound)) < 16000 / 12 / 4


def test_a_server_without_ranges_sends_the_whole_video_once(
    tmp_path: Path, long_video: Path, server: VideoServer
) -> None:
    server.faults["/whole.mp4"] = "whole"
    wanted = [Wanted("a", 0.5, 1.0), Wanted("b", 1.5, 1.0)]
    pieces = download(f"{server.address}/whole.mp4", wanted, tmp_path, LIMITS)
    assert [piece.status for piece in pieces] == ["ok", "ok"], pieces
    assert pieces[0].file == pieces[1].file
    assert [piece.start_s for piece in pieces] == [0.5, 1.5]


def test_what_a_video_has_no_room_for_is_too_short(server: VideoServer, tmp_path: Path) -> None:
    wanted = [
        Wanted("a", None, 2.0, section=0),
        Wanted("b", None, 2.0, section=1),
        Wanted("c", 10.0, 1.0),
        Wanted("d", None, 60.0),
        Wanted("e", None, 60.0, shortest_s=5.0),
    ]
    pieces = download(f"{server.address}/short.mp4", wanted, tmp_path, LIMITS)
    assert [piece.status for piece in pieces] == ["ok", "too_short", "too_short", "ok", "too_short"], pieces


@pytest.mark.parametrize(
    ("fault", "status", "reason"),
    [
        (404, "unavailable", "404"),
        (403, "unavailable", "403"),
        (429, "rate_limited", "429"),
        (503, "other", "503"),
        ("html", "unavailable", "Unsupported URL"),
        ("dressed", "no_video", ""),
        ("large", "over_limits", "fetch.max_bytes 2000000"),
        ("endless", "over_limits", "fetch.max_bytes 2000000"),
        ("reset", "other", ""),
        ("truncated", "other", ""),
        ("-> http://127.0.0.1:1/", "other", ""),
        ("-> file:///etc/passwd", "refused", ""),
        ("-> ftp://127.0.0.1/a.mp4", "refused", ""),
    ],
)
@pytest.mark.parametrize("section", [False, True])
def test_a_failed_download_is_an_outcome_and_leaves_nothing(
    server: VideoServer, tmp_path: Path, fault: object, status: str, reason: str, section: bool
) -> None:
    path = f"/fault{zlib.crc32(str(fault).encode())}.mp4"
    server.faults[path] = fault
    wanted = Wanted("one", 1.0, 1.0) if section else Wanted("one", 0.0, None)
    (found,) = download(f"{server.address}{path}?key=secret", [wanted], tmp_path, LIMITS)
    assert (found.status, found.file) == (status, ""), found
    assert reason in found.reason
    assert "secret" not in found.reason
    assert "\n" not in found.reason
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("fault", ["html", 404, "-> /elsewhere?sig=ab/cdS3CRET", "-> /elsewhere?S3CRET"])
def test_a_reason_names_nothing_of_an_address_but_its_place(
    server: VideoServer, tmp_path: Path, fault: str | int
) -> None:
    """yt-dlp tells a video's name, too, which it takes from the end of the address, whatever that holds."""
    server.faults["/v"], server.faults["/elsewhere"] = fault, "html"
    for end in (
        "?S3CRET",
        "#S3CRET",
        "?sig=ab/cdS3CRET",
        "?sig=a:S3CRET",
        "?a=%53%33CRET",
        "?a='S3CRET",
        "?a=b#/S3CRET",
    ):
        found = whole(f"{server.address}/v{end}", tmp_path)
        assert "CRET" not in found.reason, end
        assert ("404" if fault == 404 else "Unsupported URL: ") in found.reason


def test_a_playlist_cannot_bring_in_a_file_of_this_machine(server: VideoServer, tmp_path: Path) -> None:
    lists = {
        "/leak.m3u8": b"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
        "/leak.mp4": b"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
        "/concat.mp4": b"ffconcat version 1.0\nfile /etc/passwd\n",
    }
    for path, content in lists.items():
        server.faults[path] = content
        for wanted in (Wanted("one", 0.0, None), Wanted("one", 1.0, 1.0)):
            (found,) = download(server.address + path, [wanted], tmp_path, LIMITS)
            assert found.status != "ok", found
            assert not list(tmp_path.iterdir())


def test_a_stalled_server_costs_no_more_than_the_limit(server: VideoServer, tmp_path: Path) -> None:
    server.faults["/gone.mp4"], server.faults["/stalled.mp4"] = 404, "stall"
    whole(f"{server.address}/gone.mp4", tmp_path)  # The first one pays for loading yt-dlp.
    started = time.monotonic()
    found = whole(f"{server.address}/stalled.mp4", tmp_path, LIMITS.model_copy(update={"timeout_s": 2.0}))
    assert found.status == "timed_out"
    assert time.monotonic() - started < 15
    assert not list(tmp_path.iterdir())


def test_an_unreachable_server_is_worth_a_retry(tmp_path: Path) -> None:
    assert whole("http://127.0.0.1:1/a.mp4", tmp_path).status in PASSING


def test_private_addresses_are_refused_after_a_redirect_too(server: VideoServer, tmp_path: Path) -> None:
    """Else a list could make this machine ask its own network."""
    closed = LIMITS.model_copy(update={"allow_private": False})
    before = sum(server.requests.values())
    for host in ("127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"):
        found = whole(f"http://{host}:{server.address.rsplit(':')[-1]}/a.mp4", tmp_path, closed)
        assert found.status == "refused", (host, found)
    assert sum(server.requests.values()) == before
    # A public first address cannot be had here: the redirect is followed in a child whose guard knows one host only.
    hosts = LIMITS.model_copy(update={"hosts": ("localhost",)})
    server.faults["/away.mp4"] = f"-> {server.address}/target.mp4"
    found = whole(f"{server.address}/away.mp4".replace("127.0.0.1", "localhost"), tmp_path, hosts)
    assert found.status == "refused", found
    assert server.requests["/away.mp4"] > 0
    assert server.requests["/target.mp4"] == 0


def test_downloads_take_one_small_format_and_no_playlist(tmp_path: Path) -> None:
    chosen = options(tmp_path, "stem", LIMITS, "b")
    assert chosen["external_downloader"] == {"default": "native"}
    assert chosen["postprocessors"] == []
    assert chosen["noplaylist"] is True
    assert not {"exec_cmd", "enable_file_urls", "cookiesfrombrowser"} & set(chosen)


def test_the_smallest_format_that_is_large_enough_is_taken(tmp_path: Path) -> None:
    """Through yt-dlp's own choice, on the formats of a video as sites list them."""
    import yt_dlp

    from pipeline_src.clips import downloader

    def format_of(name: str, height: int | None, **more: object) -> dict[str, object]:
        video, audio = ("avc1" if height else "none"), more.pop("acodec", "none")
        base = {"format_id": name, "url": f"https://h/{name}.mp4", "ext": "mp4", "vcodec": video, "acodec": audio}
        return {**base, "height": height, "width": height, "protocol": "https", **more}

    formats = [
        format_of("sound-high", None, acodec="mp4a", abr=256),
        format_of("sound-low", None, acodec="mp4a", abr=48),
        format_of("v72", 72),
        format_of("v144", 144, tbr=100),
        format_of("v144-large", 144, tbr=900),
        format_of("both360", 360, acodec="mp4a"),
        format_of("v1080", 1080),
    ]

    def chosen(entries: list[dict[str, object]], text: str) -> str:
        with yt_dlp.YoutubeDL({**options(tmp_path, "x", LIMITS, text), "simulate": True}) as site:
            info = site.process_video_result(
                {"id": "x", "title": "x", "formats": entries, "extractor": "y", "extractor_key": "y"}, download=False
            )
        return str(info["format_id"])

    ranges = downloader.range_formats(LIMITS)
    assert chosen(formats, ranges) == "v144+sound-low"
    assert chosen(formats, downloader.whole_formats(LIMITS)) == "both360"
    assert chosen(formats[:3], ranges) == "v72+sound-low"
    assert chosen([formats[2], formats[3]], ranges) == "v144"
    assert chosen([formats[2]], ranges) == "v72"


def test_local_files_stay_where_they_are_and_one_url_is_fetched_once(
    server: VideoServer, tmp_path: Path, small_video: Path
) -> None:
    url = f"{server.address}/good.mp4?once"
    clips = [clip("a", str(small_video)), clip("b", url), clip("c", str(tmp_path / "no.mp4")), clip("d", url)]
    media = tmp_path / "media"
    media.mkdir()
    rows = fetch_clips(clips, media, tmp_path / "final", LIMITS)
    assert [(row.clip_id, row.status) for row in rows] == [("a", "ok"), ("b", "ok"), ("c", "missing"), ("d", "ok")]
    assert rows[0].file == str(small_video)
    assert rows[1].file == rows[3].file
    assert Path(rows[1].file).parent == tmp_path / "final"
    assert len(list(media.iterdir())) == 1


def test_spare_candidates_stand_in_for_those_that_fail(server: VideoServer, tmp_path: Path) -> None:
    for number in (1, 2):
        server.faults[f"/spare{number}.mp4"] = 404
    clips = [clip(str(number), f"{server.address}/spare{number}.mp4") for number in range(6)]
    rows = fetch_clips(clips, tmp_path, tmp_path, LIMITS, spare=0.5)
    assert [row.status for row in rows] == ["ok", "unavailable", "unavailable", "ok", "ok", "ok"]
    clips = [clip(f"{number}b", f"{server.address}/kept{number}.mp4") for number in range(6)]
    rows = fetch_clips(clips, tmp_path, tmp_path, LIMITS, spare=0.5)
    assert [row.status for row in rows] == ["ok"] * 4 + ["spare"] * 2
    assert server.requests["/kept4.mp4"] == 0


def test_the_rate_limit_holds(tmp_path: Path, long_video: Path) -> None:
    content = long_video.read_bytes()
    limits = LIMITS.model_copy(update={"max_bytes": 10**8, "rate_limit": 200_000})
    with VideoServer(content) as server:
        started = time.monotonic()
        (piece,) = download(f"{server.address}/v.mp4", [Wanted("a", 20.0, 10.0)], tmp_path, limits)
        assert piece.status == "ok"
        assert time.monotonic() - started > 0.8 * Path(piece.file).stat().st_size / 200_000 > 2


def test_cookies_are_sent_and_their_file_is_left_as_it_is(server: VideoServer, tmp_path: Path) -> None:
    jar = tmp_path / "cookies.txt"
    jar.write_text("# Netscape HTTP Cookie File\n127.0.0.1\tFALSE\t/\tFALSE\t2147483647\tname\tvalue\n")
    before = jar.read_bytes()
    media = tmp_path / "media"
    media.mkdir()
    wanted = [Wanted("a", 0.5, 1.0)]
    limits = LIMITS.model_copy(update={"cookies": str(jar)})
    (found,) = download(f"{server.address}/cookie.mp4", wanted, media, limits)
    assert found.status == "ok"
    assert server.cookies["/cookie.mp4"] == "name=value"
    assert jar.read_bytes() == before
    assert [str(path) for path in media.iterdir()] == [found.file]


def test_a_wrong_cookie_file_stops_the_job_before_anything_is_asked_for(
    server: VideoServer, tmp_path: Path, capfd: pytest.CaptureFixture
) -> None:
    jar = tmp_path / "cookies.txt"
    jar.write_text("# Netscape HTTP Cookie File\nvideos.example FALSE / FALSE 2147483647 session S3CRET\n")
    limits = LIMITS.model_copy(update={"cookies": str(jar)})
    before = sum(server.requests.values())
    with pytest.raises(UserError, match="line 2"):
        fetch_clips([clip("a", f"{server.address}/v.mp4")], tmp_path, tmp_path, limits)
    # Nor does a file that becomes wrong while the job runs.
    (found,) = download(f"{server.address}/v.mp4", [Wanted("a", 0.0, None)], tmp_path, limits)
    assert (found.status, "line 2" in found.reason) == ("other", True)
    assert sum(server.requests.values()) == before
    assert "S3CRET" not in "".join([*capfd.readouterr(), found.reason])
    local = fetch_clips([clip("b", "missing.mp4")], tmp_path, tmp_path, limits)
    assert [row.status for row in local] == ["missing"]


@pytest.mark.parametrize("start", [None, 0.0])
def test_a_proxy_carries_every_request(server: VideoServer, tmp_path: Path, start: float | None) -> None:
    """It may stand in a private network, though the video may not."""
    limits = LIMITS.model_copy(update={"proxy": server.address, "allow_private": False})
    wanted = [Wanted("a", start, None if start == 0 else 1.0)]
    (found,) = download("http://videos.example/p.mp4", wanted, tmp_path, limits)
    assert found.status == "ok", found
    assert server.proxied == {"videos.example"}
    refused = download("http://127.0.0.1:1/p.mp4", wanted, tmp_path, limits)
    assert refused[0].status == "refused"


def test_behind_a_proxy_redirects_are_checked_too(server: VideoServer, tmp_path: Path) -> None:
    """There no connection shows where a request leads."""
    code = """
import sys
from pathlib import Path
from pipeline_src.clips.fetch import download
from pipeline_src.clips.rows import Wanted
from pipeline_src.settings.clips import FetchSettings
if __name__ == "__main__":
    settings = FetchSettings(proxy=sys.argv[1], hosts=("allowed.example",), retries=0)
    print(download(sys.argv[2], [Wanted("a", 0.0, None)], Path(sys.argv[3]), settings)[0].status)
"""
    # Where NO_PROXY is set, a redirect would go past the proxy.
    environment = {key: value for key, value in os.environ.items() if key.lower() != "no_proxy"}
    (tmp_path / "media").mkdir()
    (tmp_path / "fetch_one.py").write_text(code)
    for number, target in enumerate(("http://169.254.169.254/secret.mp4", "http://evil.example/secret.mp4")):
        server.faults[f"/turn{number}.mp4"] = f"-> {target}"
        command = [sys.executable, str(tmp_path / "fetch_one.py"), server.address]
        command += [f"http://allowed.example/turn{number}.mp4", str(tmp_path / "media")]
        environment["PYTHONPATH"] = str(ROOT)
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120)
        assert done.stdout == "refused\n", done
        assert server.requests[f"/turn{number}.mp4"] > 0
    assert server.requests["/secret.mp4"] == 0


def test_a_list_of_fragments_is_downloaded(server: VideoServer, tmp_path: Path, ffmpeg: Callable[..., None]) -> None:
    stream = tmp_path / "stream.ts"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x48:r=10:d=3", "-pix_fmt", "yuv420p", stream)
    server.faults["/segment.ts"] = stream.read_bytes()
    server.faults["/list.m3u8"] = b"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\nsegment.ts\n#EXT-X-ENDLIST\n"
    media = tmp_path / "media"
    media.mkdir()
    (found,) = download(f"{server.address}/list.m3u8", [Wanted("a", 1.0, 1.0)], media, LIMITS)
    assert found.status == "ok", found
    assert Path(found.file).read_bytes() == stream.read_bytes()


def test_an_endless_page_does_not_fill_the_memory(server: VideoServer, tmp_path: Path) -> None:
    server.faults["/endless.html"] = "endless page"
    found = whole(f"{server.address}/endless.html", tmp_path, LIMITS.model_copy(update={"timeout_s": 90.0}))
    assert found.status in ("over_limits", "timed_out"), found
    assert server.sent["/endless.html"] < 1 << 30


def test_the_program_fills_the_folder_and_the_status_file(
    server: VideoServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.faults["/gone.mp4"] = 404
    plan, media, status = tmp_path / "000000.csv", tmp_path / "media" / "000000", tmp_path / "status.csv"
    good = f"{server.address}/good.mp4"
    plan.write_text(plan_text([clip("a", good), clip("b", f"{server.address}/gone.mp4"), clip("c", good, None, 1)], 0))
    given = ["--settings", json.dumps({"fetch": LIMITS.model_dump()}), "--plan", str(plan)]
    monkeypatch.setattr(sys, "argv", ["fetch_clips", *given, "--media", str(media), "--status", str(status)])
    run(stage.main)
    rows = read_status(status)
    assert [(row.clip_id, row.status) for row in rows] == [("a", "ok"), ("b", "unavailable"), ("c", "ok")]
    assert Path(rows[0].file).parent == media
    assert Path(rows[0].file).is_file()
    assert rows[2].video_start_s == section_starts(3.0, 1.0, 1, 0, good)[0]


def test_a_killed_job_leaves_no_download_running_and_its_remains_are_cleared(
    server: VideoServer, tmp_path: Path
) -> None:
    server.faults["/endless.mp4"] = "endless"
    plan, media, status = tmp_path / "000000.csv", tmp_path / "media" / "000000", tmp_path / "status.csv"
    plan.write_text(plan_text([clip("a", f"{server.address}/endless.mp4?slowly")], 0))
    given = ["--settings", json.dumps({"fetch": {"max_bytes": 10**12, "allow_private": True}}), "--plan", str(plan)]
    command = [sys.executable, "-m", "pipeline_src.stages.fetch_clips", *given]
    command += ["--media", str(media), "--status", str(status)]
    job = subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd=ROOT)

    def downloaded() -> int:
        return sum(path.stat().st_size for path in media.parent.glob(".000000.*/*"))

    wait_until(lambda: downloaded() > 0)
    job.kill()
    job.wait()
    time.sleep(0.5)
    size = downloaded()
    time.sleep(0.5)
    assert size == downloaded() > 0, "nothing writes any more"
    plan.write_text(plan_text([clip("a", str(tmp_path / "none.mp4"))], 0))
    subprocess.run(command, stderr=subprocess.DEVNULL, check=True, cwd=ROOT)
    assert [path.name for path in media.parent.iterdir()] == ["000000"]


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)
