"""What an address, a cookie file or a proxy keeps secret stays out of logs, results, tables and records."""

from base64 import b64encode
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.tiny_run import Project, copy_project
from tests.video_server import VideoServer

pytestmark = pytest.mark.slow

PASSWORD, TOKEN, COOKIE, PROXY = SECRETS = ("S3CRET-PASSWORD", "S3CRET-TOKEN", "S3CRET-COOKIE", "S3CRET-PROXY")
# Where an address has a token, and what yt-dlp takes for the video's name is another each time.
ENDS = [f"?token={TOKEN}#{TOKEN}", f"?{TOKEN}", f"#{TOKEN}", f"?sig=ab/cd{TOKEN}", f"?sig=a:{TOKEN}", f"?a='{TOKEN}"]
# As a request carries it.
CREDENTIALS = b64encode(f"me:{PROXY}".encode()).decode()


def named(project: Project, allowed: Iterable[Path] = ()) -> list[tuple[str, str]]:
    """Files, hidden ones too, with the secret that each holds."""
    files = {path for path in project.folder.rglob("*") if path.is_file()} - set(allowed)
    return [
        (str(path.relative_to(project.folder)), secret)
        for path in files
        for secret in (*SECRETS, CREDENTIALS)
        if secret.encode() in path.read_bytes()
    ]


def test_passwords_tokens_cookies_and_proxies_appear_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_video: Path
) -> None:
    """From the sources to the report."""
    for name in ("NO_PROXY", "no_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    project = copy_project(tmp_path / "project")
    jar = tmp_path / "cookies.txt"
    jar.write_text(f"# Netscape HTTP Cookie File\nvideos.example\tFALSE\t/\tFALSE\t2147483647\tname\t{COOKIE}\n")
    with VideoServer(small_video.read_bytes()) as server:
        monkeypatch.setenv("http_proxy", f"http://me:{PROXY}@{server.address.removeprefix('http://')}")
        paths = [f"/{number}.mp4" for number in range(40)]
        away = f"-> http://videos.example/away?sig=ab/cd{TOKEN}"
        server.faults = {**dict.fromkeys(paths[:6], "html"), **dict.fromkeys(paths[6:9], 403), "/away": "html"}
        server.faults |= dict(zip(paths[9:], ("truncated", "reset", "dressed", away), strict=False))
        lines = [f"http://videos.example{path}{end}\n" for path, end in zip(paths, ENDS * 7, strict=False)]
        # Three name a person, which is refused.
        lines += [f"http://me:{PASSWORD}@videos.example{path}\n" for path in ("", "/40.mp4")]
        lines += [f"http://me:{PASSWORD}/{PASSWORD}@videos.example/41.mp4\n"]
        config = project.configure_list(lines, 20, retries=1, cookies=str(jar))
        config["search"] = {"population": 2, "generations": 1, "controls": [], "trials": {"share": 2}}
        config["lineup"] = [{"name": "evolved", "kind": "evolved"}]
        project.configure(config)
        done = project.snakemake()
        assert COOKIE in server.cookies["/17.mp4"]
    assert server.proxied == {"videos.example"}
    assert server.credentials == {f"Basic {CREDENTIALS}"}
    assert (project.run / "report/index.html").is_file()
    assert not [secret for secret in (*SECRETS, CREDENTIALS) if secret in done.stdout + done.stderr]
    # The list is what the user wrote, and the plan repeats its addresses, which the fetch asks for.
    assert named(project, {project.folder / "videos.txt", *(project.folder / "data/pool/plan").glob("*.csv")}) == []


def test_a_proxy_with_a_password_is_refused_and_recorded_nowhere(tmp_path: Path) -> None:
    project = copy_project(tmp_path / "project")
    config = project.configure_list(["video.mp4\n"], 1, proxy=f"http://me:{PROXY}@proxy.example:3128")
    refused = project.snakemake("--dry-run", check=False)
    assert refused.returncode == 2
    (told,) = (line for line in refused.stderr.splitlines() if line.startswith("error: "))
    assert "fetch: proxy: names a user or a password - allowed: " in told
    assert "HTTPS_PROXY in the environment" in told
    assert PROXY not in refused.stdout + refused.stderr
    project.configure(config | {"fetch": {}})
    project.snakemake("--dry-run")
    assert named(project) == []
