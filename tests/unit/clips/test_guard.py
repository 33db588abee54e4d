"""Which addresses a download may reach, and that it starts no program."""

import subprocess
import sys
import traceback
from pathlib import Path

import pytest

from pipeline_src.clips.guard import _proxies, check_url, is_public
from pipeline_src.clips.outcomes import RefusedError
from pipeline_src.settings.clips import FetchSettings
from tests.tiny_run import ROOT


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://example.org/a.mp4",
        "http:///a.mp4",
        "http://user:word@example.org/a.mp4",
        "http://10.0.0.1/a.mp4",
        "http://169.254.169.254/latest/meta-data",
        "http://[fe80::1]/a.mp4",
        "http://[::ffff:10.0.0.1]/",
        "http://example.org/a b\n.mp4",
        "http://me:S3C/RET@example.org/a.mp4",
        "http://me:S3CRET\u2100@example.org/a.mp4",
    ],
)
def test_an_address_that_is_not_public_http_is_refused(url: str) -> None:
    with pytest.raises(RefusedError) as told:
        check_url(url, FetchSettings())
    assert "S3C" not in str(told.value)


def test_public_addresses_are_told_from_others() -> None:
    assert is_public("93.184.216.34")
    assert is_public("2606:2800:220:1::1")
    for address in (
        "127.0.0.1",
        "10.1.2.3",
        "192.168.0.1",
        "169.254.1.1",
        "::1",
        "fe80::1%eth0",
        "0.0.0.0",
        "224.0.0.1",
    ):
        assert not is_public(address)
    for address in ("64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "::7f00:1", "fec0::1"):
        assert not is_public(address)
    for address in ("::ffff:127.0.0.1", "2002:7f00:1::", "100.64.0.1", "example.org", ""):
        assert not is_public(address)


def test_a_child_can_start_no_program(tmp_path: Path) -> None:
    """Whatever a site or a bug makes yt-dlp do."""
    code = """
import os, subprocess, sys
from pipeline_src.clips.guard import install
from pipeline_src.clips.outcomes import RefusedError
from pipeline_src.settings.clips import FetchSettings
install(FetchSettings())
for call in (lambda: subprocess.run(["true"]), lambda: os.system("true"), lambda: os.execv("/bin/true", ["true"])):
    try:
        call()
    except RefusedError:
        print("refused")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == "refused\n" * 3


@pytest.mark.parametrize("hosts", ["localhost", "127.0.0.1:80"])
def test_hosts_that_need_no_proxy_are_not_taken_for_one(monkeypatch: pytest.MonkeyPatch, hosts: str) -> None:
    """Else downloads would reach this machine's own services."""
    monkeypatch.setenv("http_proxy", "http://me:word@proxy.example:3128")
    monkeypatch.setenv("no_proxy", hosts)
    assert _proxies(FetchSettings()) == {("proxy.example", 3128)}


def test_a_proxy_that_cannot_be_is_told_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://me:secret/word@proxy.example:3128")
    with pytest.raises(RefusedError, match="the environment's proxy") as told:
        _proxies(FetchSettings())
    assert "secret" not in "".join(traceback.format_exception(told.value))
