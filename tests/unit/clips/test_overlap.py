import json
import sys
from pathlib import Path

import pytest

from pipeline_src.clips.overlap import compare_with_pool, shared_with_test
from pipeline_src.clips.rows import ClipRow, plan_text
from pipeline_src.stages import check_overlap
from pipeline_src.stages.command import run


def clip(
    name: str,
    path: str,
    part: str | None = None,
    content: str = "",
    source: str | None = None,
    start: float = 0.0,
    length: float | None = None,
) -> ClipRow:
    parts = () if part is None else (part,)
    return ClipRow(name, path, start, length, source or path, content, "" if part is None else "c", parts)


def test_a_copied_test_file_is_found_by_its_content() -> None:
    pool = [clip("p", "pool/x.mp4", content="aa"), clip("q", "pool/y.mp4", content="bb")]
    labelled = [clip("t", "mine/z.mp4", "test", "bb"), clip("u", "mine/w.mp4", "train", "aa")]
    assert [(split, mine, row.clip_id) for split, mine, row in shared_with_test(pool, labelled)] == [
        ("split_1", "q", "t")
    ]


@pytest.mark.parametrize(("mine", "theirs"), [("https://h/v", "https://h/v"), ("videos/a.mp4", "videos/sub/../a.mp4")])
def test_the_same_place_counts_only_where_times_overlap(mine: str, theirs: str) -> None:
    test = [clip("t", theirs, "test", start=10, length=10)]
    assert shared_with_test([clip("p", mine, start=15, length=10)], test)
    assert shared_with_test([clip("p", mine)], test)
    assert not shared_with_test([clip("p", mine, start=20, length=10)], test)
    assert not shared_with_test([clip("p", mine, start=0, length=10)], test)


def test_unreadable_files_without_a_fingerprint_are_not_taken_for_the_same() -> None:
    assert not shared_with_test([clip("p", "a.mp4")], [clip("t", "b.mp4", "test")])


def test_counts_by_part() -> None:
    pool = [
        clip("p1", "pool/1.mp4", content="11"),
        clip("p2", "pool/2.mp4", source="film"),
        clip("p3", "pool/3.mp4"),
    ]
    labelled = [
        clip("a", "mine/a.mp4", "train", "11", source="tape"),
        clip("b", "mine/b.mp4", "test", "22", source="tape"),
        clip("c", "mine/c.mp4", "test", "33", source="film"),
        clip("d", "mine/d.mp4", "validation", "44", source="other"),
    ]
    found = compare_with_pool(pool, labelled)["split_1"]
    assert found["shared_clips"] == {"train": 1, "validation": 0, "test": 0, "unused": 0}
    # tape: clip a's content is in the pool, and tape is on both sides; film: the pool names it.
    assert found["shared_source_videos"] == {"train": 1, "validation": 0, "test": 2, "unused": 0}
    assert found["source_videos_in_train_and_test"] == 1


def test_equal_file_names_in_different_folders_are_different_videos() -> None:
    pool = [clip("p", "data/pool/world/v0.mp4", source="v0.mp4")]
    labelled = [clip("t", "data/mine/world/v0.mp4", "test", source="v0.mp4")]
    assert compare_with_pool(pool, labelled)["split_1"]["shared_source_videos"]["test"] == 0


def write_plan(folder: Path, rows: list[ClipRow], splits: int) -> None:
    (folder / "plan").mkdir(parents=True)
    (folder / "plan" / "shards.json").write_text('{"shards": [{"shard": "000000", "clips": 1}]}')
    (folder / "plan" / "000000.csv").write_text(plan_text(rows, splits))


def test_the_program_counts_or_names_the_clips_that_are_in_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    write_plan(tmp_path / "pool", [clip("p", "x.mp4", content="aa")], 0)
    write_plan(tmp_path / "good", [clip("t", "y.mp4", "test", "bb")], 1)
    write_plan(tmp_path / "bad", [clip("t", "https://h/z.mp4?key=secret", "test", "aa")], 1)
    out = tmp_path / "overlap.json"
    front = [
        "check_overlap",
        "--settings",
        "{}",
        "--pool",
        str(tmp_path / "pool"),
        "--out",
        str(out),
        "--labelled",
    ]
    monkeypatch.setattr(sys, "argv", [*front, str(tmp_path / "good")])
    run(check_overlap.main)
    assert json.loads(out.read_text())["good"]["split_1"]["shared_clips"]["test"] == 0
    out.unlink()
    monkeypatch.setattr(sys, "argv", [*front, str(tmp_path / "good"), str(tmp_path / "bad")])
    with pytest.raises(SystemExit) as raised:
        run(check_overlap.main)
    assert raised.value.code == 2
    assert not out.exists()
    message = capsys.readouterr().err
    assert "1 test clips of collections.bad: p is https://h/z.mp4 (test in split_1)" in message
    assert message.count("\n") == 1
