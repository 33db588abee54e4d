import http.server
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline_src.clips.downloader import classify, download_options
from pipeline_src.clips.fetch import download, fetch_clips
from pipeline_src.clips.rows import ClipRow, plan_text, read_fetched, short_reason
from pipeline_src.settings.clips import FetchSettings
from pipeline_src.stages import fetch_clips as stage
from pipeline_src.stages.command import run

LIMITS = FetchSettings(timeout_s=60, max_bytes=2_000_000)


@pytest.fixture(scope="module")
def server(small_video: Path) -> Iterator[tuple[str, list[str]]]:
    """Address of a server on this machine, and the paths that it was asked for."""
    video = small_video.read_bytes()
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            asked.append(f"{self.command} {self.path}")
            pages = {
                "/good.mp4": (200, "video/mp4", video),
                "/page.html": (200, "text/html", b"<html><body>words</body></html>"),
                "/leak.m3u8": (
                    200,
                    "application/vnd.apple.mpegurl",
                    b"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
                ),
                "/busy.mp4": (503, "text/plain", b""),
                "/large.mp4": (200, "video/mp4", b"\0" * 3_000_000),
            }
            path = self.path.split("?")[0]
            status, kind, body = pages.get(path, (404, "text/plain", b""))
            if path in ("/stalled.mp4", "/endless.mp4"):
                status, kind = 200, "video/mp4"
            self.send_response(status)
            self.send_header("Content-Type", kind)
            if path != "/endless.mp4":
                self.send_header("Content-Length", "5000" if path == "/stalled.mp4" else str(len(body)))
            self.end_headers()
            if self.command == "HEAD":
                return
            try:
                self.wfile.write(body)
                if path == "/stalled.mp4":
                    self.wfile.flush()
                    stop.wait(30)
                while path == "/endless.mp4" and not stop.is_set():
                    self.wfile.write(b"\0" * 65536)
                    if "slowly" in self.path:
                        stop.wait(0.02)
            except OSError:
                pass

        def log_message(self, *_: object) -> None:
            pass

    stop = threading.Event()
    served = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=served.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{served.server_port}", asked
    stop.set()
    served.shutdown()
    served.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def clip(name: str, path: str) -> ClipRow:
    return ClipRow(name, path, 0.0, None, path, "", "", ())


def test_a_video_arrives_as_it_is(server: tuple[str, list[str]], tmp_path: Path, small_video: Path) -> None:
    found = download(f"{server[0]}/good.mp4", tmp_path, LIMITS)
    assert (found.status, found.reason) == ("ok", "")
    assert Path(found.file).read_bytes() == small_video.read_bytes()
    assert [str(path) for path in tmp_path.iterdir()] == [found.file]


@pytest.mark.parametrize(
    ("path", "status", "reason"),
    [
        ("/gone.mp4?key=secret", "unavailable", "404"),
        ("/page.html", "unavailable", "Unsupported URL"),
        ("/busy.mp4", "other", "503"),
        ("/large.mp4", "over_limits", "fetch.max_bytes 2000000"),
        ("/endless.mp4", "over_limits", "fetch.max_bytes 2000000"),
        ("/leak.m3u8", "unavailable", "file://"),
    ],
)
def test_a_failed_download_is_an_outcome_and_leaves_nothing(
    server: tuple[str, list[str]], tmp_path: Path, path: str, status: str, reason: str
) -> None:
    found = download(server[0] + path, tmp_path, LIMITS)
    assert (found.status, found.file) == (status, "")
    assert reason in found.reason
    assert "secret" not in found.reason
    assert "\n" not in found.reason
    assert not list(tmp_path.iterdir())


def test_a_stalled_server_costs_no_more_than_the_limit(server: tuple[str, list[str]], tmp_path: Path) -> None:
    download(f"{server[0]}/gone.mp4", tmp_path, LIMITS)  # The first one pays for loading yt-dlp.
    started = time.monotonic()
    found = download(f"{server[0]}/stalled.mp4", tmp_path, FetchSettings(timeout_s=2))
    assert found.status == "timed_out"
    assert time.monotonic() - started < 15
    assert not list(tmp_path.iterdir())


def test_an_unreachable_server_is_worth_a_retry(tmp_path: Path) -> None:
    assert download("http://127.0.0.1:1/a.mp4", tmp_path, LIMITS).status == "other"


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("ERROR: [youtube] abc: Sign in to confirm you're not a bot", "other"),
        ("ERROR: [youtube] abc: Private video. Sign in if you've been granted access", "unavailable"),
        ("ERROR: [youtube] abc: Video unavailable. This video has been removed", "unavailable"),
        ("ERROR: HTTP Error 429: Too Many Requests", "other"),
        ("ERROR: The read operation timed out", "timed_out"),
        ("ERROR: something new", "other"),
    ],
)
def test_what_may_pass_is_told_from_what_will_not(text: str, status: str) -> None:
    """A blocked video must stay retryable; a removed one must not be asked for for ever."""
    assert classify(RuntimeError(text), "https://host/v", LIMITS).status == status


def test_downloads_run_no_other_program_and_take_no_playlist() -> None:
    options = download_options("/tmp/x", "stem", LIMITS)
    assert options["external_downloader"] == {"default": "native"}
    assert options["postprocessors"] == []
    assert options["noplaylist"] is True
    assert all("protocol~=" in part for part in options["format"].replace("+", "/").split("/"))
    assert not {"exec_cmd", "enable_file_urls", "cookiesfrombrowser"} & set(options)


def test_local_files_stay_where_they_are_and_one_url_is_fetched_once(
    server: tuple[str, list[str]], tmp_path: Path, small_video: Path
) -> None:
    url = f"{server[0]}/good.mp4?once"
    clips = [clip("a", str(small_video)), clip("b", url), clip("c", str(tmp_path / "no.mp4")), clip("d", url)]
    media = tmp_path / "media"
    media.mkdir()
    rows = fetch_clips(clips, media, tmp_path / "final", LIMITS, threads=2)
    assert [(row.clip_id, row.status) for row in rows] == [
        ("a", "ok"),
        ("b", "ok"),
        ("c", "missing"),
        ("d", "ok"),
    ]
    assert rows[0].file == str(small_video)
    assert rows[1].file == rows[3].file
    assert Path(rows[1].file).parent == tmp_path / "final"
    assert len(list(media.iterdir())) == 1


def test_the_program_fills_the_folder_and_the_status_file(
    server: tuple[str, list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, media, status = tmp_path / "000000.csv", tmp_path / "media" / "000000", tmp_path / "status.csv"
    plan.write_text(plan_text([clip("a", f"{server[0]}/good.mp4"), clip("b", f"{server[0]}/gone.mp4")], 0))
    given = ["--settings", json.dumps({"fetch": {"max_bytes": 2_000_000}}), "--plan", str(plan)]
    monkeypatch.setattr(sys, "argv", ["fetch_clips", *given, "--media", str(media), "--status", str(status)])
    run(stage.main)
    rows = read_fetched(status)
    assert [(row.clip_id, row.status) for row in rows] == [("a", "ok"), ("b", "unavailable")]
    assert Path(rows[0].file).parent == media
    assert Path(rows[0].file).is_file()


def test_a_killed_job_leaves_no_download_running_and_its_remains_are_cleared(
    server: tuple[str, list[str]], tmp_path: Path
) -> None:
    plan, media, status = tmp_path / "000000.csv", tmp_path / "media" / "000000", tmp_path / "status.csv"
    plan.write_text(plan_text([clip("a", f"{server[0]}/endless.mp4?slowly")], 0))
    given = ["--settings", json.dumps({"fetch": {"max_bytes": 10**12}}), "--plan", str(plan)]
    command = [sys.executable, "-m", "pipeline_src.stages.fetch_clips", *given]
    command += ["--media", str(media), "--status", str(status)]
    job = subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd=Path(__file__).resolve().parents[3])

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
    subprocess.run(command, stderr=subprocess.DEVNULL, check=True, cwd=Path(__file__).resolve().parents[3])
    assert [path.name for path in media.parent.iterdir()] == ["000000"]


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_reasons_hold_no_folder_query_address_or_control_sign() -> None:
    text = "\n\x1b[31mfile:/home/me/v.mp4: bad\x07 [h264 @ 0x55d8] at https://h/p?token=1#x y\nnext line"
    assert short_reason(text, "/home/me/v.mp4") == "v.mp4: bad [h264] at https://h/p y"
    assert len(short_reason("x" * 999)) == 160
