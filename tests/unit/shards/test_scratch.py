"""Copies of shards on a node's own disk."""

import errno
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline_src.errors import UserError
from pipeline_src.settings.learning import TrainingSettings
from pipeline_src.shards import scratch
from pipeline_src.shards.index import Collection
from pipeline_src.shards.scratch import on_scratch

SHARD = "000000"


def test_shards_are_copied_when_opened_first_and_gone_at_the_end(
    pool: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_DISK", str(tmp_path))
    with on_scratch(pool, "$MY_DISK/inner") as quick:
        assert list(tmp_path.rglob("*.h5")) == []
        reader = quick.reader("rgb", SHARD)
        assert tmp_path in reader.path.parents
        assert np.array_equal(reader.read(0), pool.reader("rgb", SHARD).read(0))
        assert [path.parent.name for path in tmp_path.rglob("*.h5")] == ["frames"]
        assert quick.folder == pool.folder
    assert list(tmp_path.rglob("*.h5")) == []


def test_nothing_is_copied_without_the_setting(pool: Collection) -> None:
    with on_scratch(pool, None) as same:
        assert same is pool


def test_the_last_of_several_jobs_removes_the_copies(pool: Collection, tmp_path: Path) -> None:
    with on_scratch(pool, str(tmp_path)) as quick:
        path = quick.reader("rgb", SHARD).path
        other = f"""
from pipeline_src.shards.index import Collection
from pipeline_src.shards.scratch import on_scratch
with on_scratch(Collection.open({str(pool.folder / "index.json")!r}), {str(tmp_path)!r}) as quick:
    print(quick.reader("rgb", {SHARD!r}).path)
"""
        done = subprocess.run([sys.executable, "-c", other], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == str(path)
        assert path.exists()
    assert not path.exists()


def test_copies_of_a_killed_job_go_when_the_next_begins_and_others_stay(pool: Collection, tmp_path: Path) -> None:
    """Else a node's disk fills up with what nobody reads."""
    anew = replace(pool, index={**pool.index, "shards": [{"content_hash": "another"}]})
    job = f"""
import os, signal
from pipeline_src.shards.index import Collection
from pipeline_src.shards.scratch import on_scratch
with on_scratch(Collection.open({str(pool.folder / "index.json")!r}), {str(tmp_path)!r}) as quick:
    print(quick.reader("rgb", {SHARD!r}).path, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    with on_scratch(anew, str(tmp_path)) as living:
        read = living.reader("rgb", SHARD).path
        left = Path(subprocess.run([sys.executable, "-c", job], capture_output=True, text=True).stdout.strip())
        assert left.exists()
        with on_scratch(replace(pool, index={}), str(tmp_path)):
            assert not left.exists()
            assert read.exists()


def test_a_copy_of_another_size_is_made_anew(pool: Collection, tmp_path: Path) -> None:
    with on_scratch(pool, str(tmp_path)) as quick:
        copy = quick.reader("rgb", SHARD).path
        copy.write_bytes(copy.read_bytes()[:-100])
        assert np.array_equal(quick.reader("rgb", SHARD).read(0), pool.reader("rgb", SHARD).read(0))


def test_a_damaged_copy_is_told_by_the_name_of_its_shard(pool: Collection, tmp_path: Path) -> None:
    """The copy is gone when somebody reads the message."""
    with pytest.raises(UserError) as told, on_scratch(pool, str(tmp_path)) as quick:
        copy = quick.reader("rgb", SHARD).path
        copy.write_bytes(bytes(copy.stat().st_size))
        quick.reader("rgb", SHARD)
    original = pool.reader("rgb", SHARD).path
    assert str(told.value).startswith(f"{original}: ")
    assert f"verify_shards {pool.folder} " in str(told.value)
    assert str(copy) not in str(told.value)


def test_where_files_cannot_be_locked_shards_are_read_where_they_are(
    pool: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    with on_scratch(pool, str(tmp_path)) as same:
        assert same.reader("rgb", SHARD).path == pool.reader("rgb", SHARD).path
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"scratch: {tmp_path} cannot lock files")


def test_without_room_a_shard_is_read_where_it_is(
    pool: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(scratch, "RESERVE_BYTES", 1 << 60)
    with on_scratch(pool, str(tmp_path)) as quick:
        assert quick.reader("rgb", SHARD).path == pool.reader("rgb", SHARD).path
    assert "MB free, too few" in capsys.readouterr().err


def test_a_disk_that_fills_up_meanwhile_harms_nothing(
    pool: Collection, small_disk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(scratch, "RESERVE_BYTES", -(1 << 60))
    (small_disk / "full").write_bytes(bytes(190_000))
    with on_scratch(pool, str(small_disk)) as quick:
        assert quick.reader("rgb", SHARD).path == pool.reader("rgb", SHARD).path
    assert "is read where it is" in capsys.readouterr().err


@pytest.mark.parametrize("folder", ["$NO_SUCH_VARIABLE/a", "/proc/no/folder"])
def test_a_folder_that_cannot_be_is_told(pool: Collection, folder: str) -> None:
    with pytest.raises(UserError, match=r"allowed: a (path|folder)"), on_scratch(pool, folder):
        pass


def test_shards_of_other_content_have_copies_of_their_own(pool: Collection, tmp_path: Path) -> None:
    anew = replace(pool, index={**pool.index, "shards": [{"content_hash": "another"}]})
    with on_scratch(pool, str(tmp_path)) as one, on_scratch(anew, str(tmp_path)) as two:
        assert one.scratch != two.scratch


def test_what_somebody_else_laid_there_is_not_read(pool: Collection, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / f"evolved-losses-{os.getuid()}").symlink_to(tmp_path / "theirs")
    with pytest.raises(UserError, match="somebody else's"), on_scratch(pool, str(tmp_path)):
        pass


def test_where_the_copies_lie_reruns_nothing() -> None:
    assert "scratch" not in TrainingSettings(scratch="$TMPDIR").for_result()
    assert TrainingSettings(scratch="$TMPDIR").for_machine()["scratch"] == "$TMPDIR"
