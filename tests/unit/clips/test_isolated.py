"""A crash on a foreign file must cost one clip, not the job."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pipeline_src.clips.isolated import IsolatedError, isolated
from pipeline_src.errors import UserError
from tests.tiny_run import ROOT


def work(what: object) -> object:
    if what == "crash":
        os.abort()
    if what == "hang":
        time.sleep(60)
    if what == "much":
        return len(bytearray(4 << 30))
    if what == "error":
        raise ValueError("as usual")
    return what, os.getpid()


def test_processes_live_on_and_do_not_mix_up_answers() -> None:
    with isolated(work, 2, timeout_s=60) as call, ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(call, range(20)))
    assert [number for number, _ in answers] == list(range(20))
    pids = {pid for _, pid in answers}
    assert len(pids) <= 2
    assert os.getpid() not in pids


def test_a_crash_and_a_hang_are_told_and_the_next_call_works() -> None:
    with isolated(work, 1, timeout_s=5.0) as call:
        with pytest.raises(IsolatedError, match="crashed"):
            call("crash")
        assert call(1)[0] == 1
        with pytest.raises(IsolatedError, match="longer than 5 s"):
            call("hang")
        assert call(2)[0] == 2


def test_an_error_of_the_work_is_raised_here() -> None:
    with isolated(work, 1) as call:
        with pytest.raises(ValueError, match="as usual"):
            call("error")
        first, second = call(1), call(2)
        assert first[1] == second[1]


def test_memory_is_limited() -> None:
    with isolated(work, 1, memory_bytes=2 << 30) as call:
        with pytest.raises(MemoryError):
            call("much")
        assert call(1)[0] == 1


def test_a_process_that_the_system_kills_ends_the_job() -> None:
    """As a row it would never be tried again with more memory."""
    with isolated(work, 1) as call:
        _, pid = call(1)
        thread = threading.Timer(0.5, os.kill, (pid, signal.SIGKILL))
        thread.start()
        with pytest.raises(UserError, match="more memory or fewer threads"):
            call("hang")


def test_the_end_does_not_wait_for_calls_under_way() -> None:
    """SIGTERM would else be answered after minutes, and a cluster's SIGKILL come first."""
    with ThreadPoolExecutor(2) as pool:
        with isolated(work, 2) as call:
            assert call(1)[0] == 1
            hanging = [pool.submit(call, "hang") for _ in range(3)]
            time.sleep(1)
            started = time.monotonic()
        assert time.monotonic() - started < 10
        for future in hanging:
            with pytest.raises(IsolatedError):
                future.result(10)


def test_the_program_is_not_run_again_in_the_processes(tmp_path: Path) -> None:
    """A user's script needs no guard, and does not load its libraries once per process."""
    script = tmp_path / "script.py"
    lines = ["print('running')", "from pipeline_src.clips.isolated import isolated"]
    lines += ["with isolated(abs, 2) as call:", "    print(call(-3))"]
    script.write_text("\n".join(lines))
    there = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, str(script)], env=there, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["running", "3"], done.stderr
