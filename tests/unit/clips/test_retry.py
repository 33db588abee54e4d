"""Rounds of retrying take what people have corrected since, and nothing twice."""

import json
from pathlib import Path

import pytest

from pipeline_src.clips.plan import plan_collection
from pipeline_src.clips.retry import next_round, plan_retry, round_file, shards_of_rounds
from pipeline_src.clips.rows import StatusRow, read_plan, write_status
from pipeline_src.errors import UserError
from pipeline_src.settings.clips import CollectionSettings


def plan(folder: Path, *lines: str) -> None:
    (folder / "list.csv").write_text("path,label,split\n" + "".join(f"https://h/{line}\n" for line in lines))
    source = {"kind": "list", "path": str(folder / "list.csv"), "label_column": "label", "split_columns": ["split"]}
    collection = CollectionSettings.model_validate({"source": source})
    plan_collection(collection, "set", 0, folder, folder / "plan" / "shards.json")


def ended(folder: Path, shard: str, *statuses: str) -> None:
    rows = read_plan(folder / "plan" / f"{shard}.csv")
    told = [StatusRow(row.clip_id, status) for row, status in zip(rows, statuses, strict=True)]  # type: ignore[arg-type]
    for stage in ("fetch", "decode"):
        path = folder / "status" / stage / f"{shard}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_status(path, told, fetched=stage == "fetch")


FIRST = ("a,A,train", "b,B,train", "c,A,test", "d,B,test")


def test_a_round_takes_passing_failures_as_they_are_planned_now(tmp_path: Path) -> None:
    plan(tmp_path, *FIRST)
    ended(tmp_path, "000000", "timed_out", "private", "rate_limited", "ok")
    # Corrected, removed and new since: a is another class, c is gone, e has not been fetched.
    plan(tmp_path, "a,B,test", "b,A,train", "d,B,test", "e,B,train")
    plan_retry(tmp_path, 1, 10, round_file(tmp_path, 1))
    (row,) = read_plan(tmp_path / "plan" / "000000r01.csv")
    assert (row.path, row.label, row.splits) == ("https://h/a", "B", ("test",))


def test_a_round_that_was_not_ended_goes_on_and_an_ended_one_is_not_repeated(tmp_path: Path) -> None:
    plan(tmp_path, *FIRST)
    ended(tmp_path, "000000", "timed_out", "other", "rate_limited", "ok")
    assert next_round(tmp_path) == 1
    plan_retry(tmp_path, 1, 2, round_file(tmp_path, 1))
    assert [entry["clips"] for entry in json.loads(round_file(tmp_path, 1).read_text())["shards"]] == [2, 1]
    assert next_round(tmp_path) == 1
    ended(tmp_path, "000000r01", "ok", "unavailable")
    assert next_round(tmp_path) == 1
    ended(tmp_path, "000001r01", "other")
    assert next_round(tmp_path) == 2
    plan_retry(tmp_path, 2, 2, round_file(tmp_path, 2))
    assert [row.path for row in read_plan(tmp_path / "plan" / "000000r02.csv")] == ["https://h/c"]
    assert shards_of_rounds(tmp_path, 2, "x") == ["000000r01", "000001r01", "000000r02"]
    with pytest.raises(UserError, match="x: 3 - allowed: at most 2"):
        shards_of_rounds(tmp_path, 3, "x")
