"""Outputs appear whole or not at all."""

import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline_src.errors import UserError
from pipeline_src.files import read_json, whole_directory, whole_file, write_json


def test_a_failed_write_leaves_the_old_file_and_no_remains(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(RuntimeError), whole_file(target) as part:
        part.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_directory_replaces_the_old_one_only_when_complete(tmp_path: Path) -> None:
    target = tmp_path / "d"
    with whole_directory(target) as part:
        (part / "one").touch()
    with pytest.raises(RuntimeError), whole_directory(target) as part:
        (part / "two").touch()
        raise RuntimeError
    assert [p.name for p in target.iterdir()] == ["one"]
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("writer", [whole_file, whole_directory])
def test_a_full_disk_is_told_in_one_line(tmp_path: Path, writer: object) -> None:
    with pytest.raises(UserError, match="out: no disk space left"), writer(tmp_path / "out"):  # type: ignore[operator]
        raise OSError(errno.ENOSPC, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_json_is_sorted_and_refuses_what_json_cannot_say(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": 1, "a": [2]})
    assert (tmp_path / "a.json").read_text().index('"a"') < (tmp_path / "a.json").read_text().index('"b"')
    with pytest.raises(ValueError, match="Out of range"):
        write_json(tmp_path / "b.json", float("nan"))
    assert not (tmp_path / "b.json").exists()


def test_a_broken_json_file_says_how_to_get_it_again(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(UserError, match="delete it and run snakemake again"):
        read_json(tmp_path / "a.json")


KILLED = """
import os, signal, sys
from pathlib import Path
from pipeline_src.files import whole_directory, whole_file
file, folder = whole_file(Path(sys.argv[1], "a.h5")), whole_directory(Path(sys.argv[1], "d"))
file.__enter__().write_text("half")
(folder.__enter__() / "half").touch()
if sys.argv[2] == "live":
    print("ready", flush=True)
    sys.stdin.read()
    file.__exit__(None, None, None), folder.__exit__(None, None, None)
else:
    os.kill(os.getpid(), signal.SIGKILL)
"""


def write_both(folder: Path) -> None:
    with whole_file(folder / "a.h5") as part:
        assert part.suffix == ".h5"
        assert part.read_text() == ""
        part.write_text("whole")
    with whole_directory(folder / "d") as made:
        assert not list(made.iterdir())
        (made / "whole").touch()


def test_what_killed_processes_have_left_is_removed(tmp_path: Path) -> None:
    """Else every killed job would leave a file as large as a shard for ever."""
    for _ in range(2):
        subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), "kill"])
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 2
    write_both(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.h5", "d"]


def test_two_jobs_that_write_the_same_do_not_disturb_each_other(tmp_path: Path) -> None:
    """Snakemake starts a job again that it has lost, while the first may still run."""
    command = [sys.executable, "-c", KILLED, str(tmp_path), "live"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as twin:
        assert twin.stdout is not None
        assert twin.stdout.readline() == "ready\n"
        write_both(tmp_path)
        assert (tmp_path / "a.h5").read_text() == "whole"
        twin.communicate("")
    assert twin.returncode == 0
    assert (tmp_path / "a.h5").read_text() == "half"
    assert [path.name for path in (tmp_path / "d").iterdir()] == ["half"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.h5", "d"]


@pytest.mark.parametrize("where", ["platform.node", "pipeline_src.files._process_namespace"])
def test_what_another_machine_or_container_writes_stays_until_it_is_old(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Containers of one host name count their processes each from 1 on."""
    with monkeypatch.context() as there:
        there.setattr(where, lambda: "another")
        theirs = whole_file(tmp_path / "a.h5")
        part = theirs.__enter__()
    write_both(tmp_path)
    assert part.exists()
    os.utime(part, (0, time.time() - 7200))
    write_both(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.h5", "d"]
