"""What an address or a cookie file keeps secret stays out of logs, results and tables."""

from pathlib import Path

import pytest

from tests.tiny_run import copy_project
from tests.video_server import VideoServer

pytestmark = pytest.mark.slow

SECRETS = ("S3CRET-PASSWORD", "S3CRET-TOKEN", "S3CRET-COOKIE")


def test_passwords_tokens_and_cookies_appear_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_video: Path
) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "*")
    project = copy_project(tmp_path / "project")
    jar = tmp_path / "cookies.txt"
    jar.write_text(f"# Netscape HTTP Cookie File\n127.0.0.1\tFALSE\t/\tFALSE\t2147483647\tname\t{SECRETS[2]}\n")
    with VideoServer(small_video.read_bytes()) as server:
        paths = [f"/{number}.mp4" for number in range(8)]
        server.faults = dict(zip(paths, (403, "html", "truncated", "reset", "dressed"), strict=False))
        host = server.address.removeprefix("http://")
        # One names a person, which is refused.
        people = [f"me:{SECRETS[0]}@", *[""] * 7]
        secret = f"?token={SECRETS[1]}#{SECRETS[1]}"
        lines = [f"http://{person}{host}{path}{secret}\n" for person, path in zip(people, paths, strict=True)]
        config = project.configure_list(lines, 4, retries=1, cookies=str(jar))
        config["collections"]["pool"]["min_success"] = 0.1
        project.configure(config)
        done = project.snakemake("data/pool/index.json")
        assert SECRETS[2] in server.cookies["/7.mp4"]
    said = done.stdout + done.stderr
    assert not [secret for secret in SECRETS if secret in said]
    # The list is what the user wrote, and the plan repeats its addresses, which the fetch asks for.
    allowed = {project.folder / "videos.txt", *(project.folder / "data/pool/plan").glob("*.csv")}
    files = [path for path in project.folder.rglob("*") if path.is_file() and path not in allowed]
    assert len(files) > 100
    named = [
        (str(path.relative_to(project.folder)), secret)
        for path in files
        for secret in SECRETS
        if secret.encode() in path.read_bytes()
    ]
    assert named == []
