"""The table of results."""

import pytest

from pipeline_src.errors import UserError
from pipeline_src.settings.transfer import LineupEntry
from pipeline_src.transfer.results import COLUMNS, collect

LINEUP = [LineupEntry(name="ours", kind="evolved"), LineupEntry(name="a_scratch", kind="scratch")]


def found(entry="ours", top1=0.5, *, split=1, seed=0, method="linear", collection="set"):
    return {
        "collection": collection,
        "split": split,
        "entry": entry,
        "seed": seed,
        "method": method,
        "top1": top1,
    }


def test_rows_are_tidy_and_in_the_lineups_order():
    """Else tables and figures list rows at random; baselines come last."""
    files = [
        ("baselines.json", {"results": [found("frame count"), found("raw pixels", method="kmeans")]}),
        ("b", found("a_scratch")),
        ("c", found(seed=2, method="finetune")),
        ("d", found(seed=10)),
        ("e", found(seed=2)),
        ("f", found(collection="other", top1=None)),
    ]
    table = collect(files, LINEUP)
    assert tuple(table.columns) == COLUMNS
    assert table["collection"].tolist() == ["other", *["set"] * 6]
    assert table["entry"].tolist() == ["ours"] * 4 + ["a_scratch", "frame count", "raw pixels"]
    assert table["kind"].tolist() == ["evolved"] * 4 + ["scratch", "baseline", "baseline"]
    assert table["seed"].tolist()[:4] == [0, 2, 10, 2]
    assert table["top1"].isna().tolist() == [True] + [False] * 6
    assert collect(files[::-1], LINEUP).equals(table)


def test_foreign_double_and_broken_files_are_told():
    """Else stale files change a table silently."""
    with pytest.raises(UserError, match=r"x: entry 'gone' - allowed: entries of the lineup: ours"):
        collect([("x", found("gone"))], LINEUP)
    with pytest.raises(UserError, match="y: ours by linear occurs twice"):
        collect([("x", found()), ("y", found(top1=0.1))], LINEUP)
    for broken in ({"entry": "ours"}, [1], None):
        with pytest.raises(UserError, match="x: no transfer result"):
            collect([("x", broken)], LINEUP)


def test_empty_table_has_columns():
    """A run without labelled collections still ends."""
    table = collect([], LINEUP)
    assert tuple(table.columns) == COLUMNS
