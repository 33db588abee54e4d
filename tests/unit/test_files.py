"""Outputs appear whole or not at all."""

import errno
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


def test_what_a_killed_process_has_left_is_replaced(tmp_path: Path) -> None:
    """Else every killed job would leave a file as large as a shard for ever."""
    killed = []  # Kept, so that nothing cleans up after them.
    for _ in range(2):
        killed += [whole_file(tmp_path / "a.h5"), whole_directory(tmp_path / "d")]
        killed[-2].__enter__().write_text("half")
        (killed[-1].__enter__() / "half").touch()
    with whole_file(tmp_path / "a.h5") as part:
        assert part.read_text() == ""
        part.write_text("whole")
    with whole_directory(tmp_path / "d") as folder:
        assert not list(folder.iterdir())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.h5", "d"]
