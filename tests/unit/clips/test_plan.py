import json
import os
import re
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from pipeline_src.clips.plan import (
    assign_shards,
    clip_id,
    fingerprint,
    plan_collection,
    plan_video,
)
from pipeline_src.clips.rows import ClipRow, plan_text, read_plan
from pipeline_src.clips.sections import section_start, section_starts
from pipeline_src.clips.sources import Video
from pipeline_src.errors import UserError
from pipeline_src.settings.clips import CollectionSettings, PlanSettings
from pipeline_src.stages import plan_clips
from pipeline_src.stages.command import run


def row(name: str) -> ClipRow:
    return ClipRow(name, name, 0.0, None, name, "", "", ())


def settings(folder: Path, **plan: object) -> CollectionSettings:
    return CollectionSettings.model_validate({"source": {"kind": "folder", "path": str(folder)}, "plan": plan})


def make(collection: CollectionSettings, tmp_path: Path, seed: int = 0) -> dict[str, list[ClipRow]]:
    out = tmp_path / "pool" / "plan" / "shards.json"
    plan_collection(collection, "pool", seed, tmp_path / "pool", out)
    shards = json.loads(out.read_text())["shards"]
    found = {entry["shard"]: read_plan(out.parent / f"{entry['shard']}.csv") for entry in shards}
    assert [entry["clips"] for entry in shards] == [len(rows) for rows in found.values()]
    assert sorted(found) == sorted(path.stem for path in out.parent.glob("0*.csv"))
    return found


def broken_videos(folder: Path, count: int, first: int = 0) -> None:
    folder.mkdir(exist_ok=True)
    for k in range(first, first + count):
        (folder / f"v{k:02d}.mp4").write_bytes(b"no video %d" % k)


@pytest.mark.parametrize(("duration", "length"), [(35.2, 3.0), (30.0, 10.0), (9.99, 3.33), (1000.0, 1.5)])
def test_sections_lie_inside_and_never_overlap(duration: float, length: float) -> None:
    starts = sorted(section_starts(duration, length, 10_000, 0, "v"))
    assert len(starts) == int(duration / length), "as many as fit"
    assert starts[0] >= 0
    assert starts[-1] + length <= duration + 1e-9
    # Starts are rounded down to the millisecond, which may bring two of them that much nearer.
    assert all(second - first >= length - 0.001 - 1e-9 for first, second in pairwise(starts))


def test_more_sections_keep_the_earlier_ones_and_seed_and_video_choose_them() -> None:
    few, many = (section_starts(100.0, 5.0, count, 0, "v") for count in (3, 8))
    assert many[:3] == few
    assert section_starts(100.0, 5.0, 3, 1, "v") != few
    assert section_starts(100.0, 5.0, 3, 0, "w") != few


def test_single_sections_cover_the_video_evenly() -> None:
    starts = [section_starts(20.5, 10.0, 1, 0, f"v{k}")[0] for k in range(400)]
    assert min(starts) < 1 < 9 < max(starts)


def test_a_video_shorter_than_a_section_is_taken_whole_and_an_unknown_one_from_its_start() -> None:
    video, plan = Video("v", "v", "v"), PlanSettings(duration_s=10, per_video=3)
    assert [(r.start_s, r.duration_s) for r in plan_video(video, plan, 0, 4.0, "")] == [(0.0, None)]
    assert [(r.start_s, r.duration_s) for r in plan_video(video, plan, 0, None, "")] == [(0.0, 10.0)]
    assert len(plan_video(video, plan, 0, 45.0, "")) == 3
    whole = plan_video(video, PlanSettings(duration_s=None, per_video=3), 0, 45.0, "")
    assert [(r.start_s, r.duration_s) for r in whole] == [(0.0, None)]
    listed = Video("v", "v", "v", start_s=7.5)
    assert [(r.start_s, r.duration_s) for r in plan_video(listed, plan, 0, 45.0, "")] == [(7.5, 10.0)]


@pytest.mark.parametrize(
    "identity",
    ["../../etc/passwd", "-x.mp4", "a'b;rm -rf.mp4", "é" * 300 + ".mp4", "日本.mp4", "https://h/v?id=1", "."],
)
def test_clip_ids_are_safe_file_names(identity: str) -> None:
    name = clip_id(identity, "#0")
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name)
    assert len(name) <= 80


def test_clip_ids_tell_videos_of_the_same_name_and_sections_apart() -> None:
    names = {clip_id(identity, mark) for identity in ("a/v.mp4", "b/v.mp4", "a/v.mkv") for mark in ("#0", "#1", "@1")}
    assert len(names) == 9
    assert clip_id("a/v.mp4", "#0").startswith("v-")


def test_clip_ids_show_no_secret_of_an_address_and_tell_all_apart() -> None:
    secret = [
        f"http://{before}h.example{path}"
        for before in ("", "me:S3CRET@", "me:S3/CRET@")
        for path in ("", "/v", "?S3CRET")
    ]
    names = [clip_id(identity, "#0") for identity in secret]
    assert len(set(names)) == len(secret)
    assert not [name for name in names if re.search("me|S3|CRET", name.rpartition("-")[0])]
    # Finished runs have these names.
    assert clip_id("http://h.example/v.mp4?id=1", "#0") == "v-7ab116d7eecb"
    assert clip_id("http://h.example", "#0") == "h-47f3876974c3"


def test_clips_stay_in_their_shard() -> None:
    """A new video reruns the last shard only; a vanished one only its own."""
    first = assign_shards({}, [row(name) for name in "abcde"], 2)
    assert [[r.clip_id for r in rows] for rows in first.values()] == [["a", "b"], ["c", "d"], ["e"]]
    known = {shard: [r.clip_id for r in rows] for shard, rows in first.items()}
    then = assign_shards(known, [row(name) for name in "0acdefg"], 2)
    assert {shard: [r.clip_id for r in rows] for shard, rows in then.items()} == {
        "000000": ["a"],
        "000001": ["c", "d"],
        "000002": ["e", "0"],
        "000003": ["f", "g"],
    }
    assert list(assign_shards(known, [row("a"), row("e")], 2)) == ["000000", "000002"]


def test_a_new_a_replaced_and_a_removed_video_touch_only_their_shards(tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    broken_videos(videos, 6)
    collection = settings(videos, clips_per_shard=2)
    before = make(collection, tmp_path)
    assert [len(rows) for rows in before.values()] == [2, 2, 2]
    folder = tmp_path / "pool" / "plan"
    for path in folder.glob("0*.csv"):
        os.utime(path, ns=(1, 1))
    (videos / "v02.mp4").write_bytes(b"other")
    (videos / "v05.mp4").unlink()
    (videos / "a00.mp4").write_bytes(b"first by name")
    after = make(collection, tmp_path)
    assert (folder / "000000.csv").stat().st_mtime_ns == 1
    assert (folder / "000001.csv").stat().st_mtime_ns != 1
    assert [r.clip_id for r in after["000001"]] == [r.clip_id for r in before["000001"]]
    assert after["000001"][0].content != before["000001"][0].content
    assert after["000001"][1] == before["000001"][1]
    assert [os.path.basename(r.path) for r in after["000002"]] == ["v04.mp4", "a00.mp4"]


def test_a_plan_of_other_settings_starts_from_scratch_and_leaves_no_stale_shards(tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    broken_videos(videos, 6)
    assert len(make(settings(videos, clips_per_shard=2), tmp_path)) == 3
    (videos / "a00.mp4").write_bytes(b"first by name")
    again = make(settings(videos, clips_per_shard=100), tmp_path)
    assert list(again) == ["000000"]
    assert again["000000"][0].path.endswith("a00.mp4"), "from scratch the order is that of the source"


def test_other_clips_in_finished_shards_must_be_allowed(tmp_path: Path) -> None:
    videos = tmp_path / "videos"
    broken_videos(videos, 6)
    before = make(settings(videos, clips_per_shard=2), tmp_path)
    for shard in before:
        for stage in ("decode_clips", "extract_flow"):
            benchmark = tmp_path / "pool" / "benchmarks" / stage / f"{shard}.tsv"
            benchmark.parent.mkdir(parents=True, exist_ok=True)
            benchmark.write_text("s\tmax_rss\n1800.0\t1\n")
    (videos / "v02.mp4").write_bytes(b"other")
    arguments = ("pool", 0, tmp_path / "pool", tmp_path / "pool" / "plan" / "shards.json")
    with pytest.raises(UserError, match=r"collections.pool: 1 shards .* 1.0 hours .* redo_hours: 0.5.*redo_hours=2"):
        plan_collection(settings(videos, clips_per_shard=2), *arguments, redo_hours=0.5)
    with pytest.raises(UserError, match=r"3 shards .* 3.0 hours"):
        plan_collection(settings(videos, clips_per_shard=3), *arguments, redo_hours=2.5)
    assert read_plan(tmp_path / "pool" / "plan" / "000001.csv") == before["000001"], "nothing has changed"
    plan_collection(settings(videos, clips_per_shard=3), *arguments, redo_hours=3)


def test_more_clips_per_video_leave_full_shards_as_they_are(tmp_path: Path, small_video: Path) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    for k in range(4):
        (videos / f"v{k}.mp4").write_bytes(small_video.read_bytes())
    one = make(settings(videos, duration_s=1, per_video=1, clips_per_shard=2), tmp_path)
    two = make(settings(videos, duration_s=1, per_video=2, clips_per_shard=2), tmp_path)
    assert len(one) == 2
    assert len(two) == 4
    assert {shard: two[shard] for shard in one} == one


def test_a_broken_file_is_planned_so_that_decoding_can_report_it(tmp_path: Path) -> None:
    broken_videos(tmp_path / "videos", 1)
    (only,) = make(settings(tmp_path / "videos", duration_s=2, per_video=5), tmp_path)["000000"]
    assert (only.start_s, only.duration_s) == (0.0, 2.0)


def test_the_fingerprint_sees_both_ends_and_the_size(tmp_path: Path) -> None:
    path = tmp_path / "v"
    base = bytearray(300_000)
    found = []
    for place in (None, 10, 299_990):
        data = bytearray(base)
        if place is not None:
            data[place] = 1
        path.write_bytes(data)
        found.append(fingerprint(str(path)))
    path.write_bytes(base + b"\0")
    found.append(fingerprint(str(path)))
    assert len(set(found)) == 4
    assert all(re.fullmatch("[0-9a-f]{16}", value) for value in found)
    path.write_bytes(b"")
    assert fingerprint(str(path)) == fingerprint(str(tmp_path / "none")) == ""


def test_labelled_clips_carry_class_and_parts_drawn_by_source_video(tmp_path: Path) -> None:
    rows = "".join(f"{c}{k}.mp4,{c},{c}{k // 3}\n" for c in "ab" for k in range(30))
    (tmp_path / "list.csv").write_text("path,class,from\n" + rows)
    source = {"kind": "list", "path": str(tmp_path / "list.csv"), "label_column": "class"}
    collection = CollectionSettings.model_validate(
        {"source": {**source, "source_video_column": "from"}, "splits": {"count": 2, "test": 0.4}}
    )
    clips = make(collection, tmp_path)["000000"]
    assert {len(clip.splits) for clip in clips} == {2}
    parts: dict[str, set] = {}
    for clip in clips:
        parts.setdefault(clip.source_video, set()).add(clip.splits)
    assert len(parts) == 20
    assert all(len(found) == 1 for found in parts.values()), "clips of one video never stand on both sides"
    assert clips[0].label == "a"


def test_one_source_video_for_all_clips_cannot_be_split(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("path,class,from\na.mp4,a,v\nb.mp4,b,v\n")
    source = {"kind": "list", "path": str(tmp_path / "list.csv"), "label_column": "class"}
    collection = CollectionSettings.model_validate(
        {"source": {**source, "source_video_column": "from"}, "splits": {"test": 0.3}}
    )
    with pytest.raises(UserError, match=r"no (test|train) clip"):
        make(collection, tmp_path)


def test_listed_starts_and_several_clips_per_video_contradict(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("path,at\na.mp4,1\n")
    source = {"kind": "list", "path": str(tmp_path / "list.csv"), "start_column": "at"}
    collection = CollectionSettings.model_validate({"source": source, "plan": {"per_video": 2}})
    with pytest.raises(UserError, match=r"plan\.per_video: 2 - allowed: 1"):
        make(collection, tmp_path)


def test_the_program_writes_a_plan_and_tells_a_wrong_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    broken_videos(tmp_path / "videos", 1)
    out = tmp_path / "pool" / "plan" / "shards.json"
    for path, code in ((tmp_path / "videos", 0), (tmp_path / "nothing", 2)):
        given = json.dumps({"collection": {"source": {"kind": "folder", "path": str(path)}}, "seed": 3})
        rest = ["--collection", "pool", "--folder", str(tmp_path / "pool"), "--out", str(out)]
        monkeypatch.setattr(sys, "argv", ["plan_clips", "--settings", given, *rest])
        if code:
            with pytest.raises(SystemExit) as raised:
                run(plan_clips.main)
            assert raised.value.code == code
        else:
            run(plan_clips.main)
    (entry,) = json.loads(out.read_text())["shards"]
    assert (entry["clips"], entry["shard"], len(entry["content"])) == (1, "000000", 16)
    assert "collections.pool.source.path" in capsys.readouterr().err.splitlines()[-1]


def test_places_in_videos_of_unknown_length_are_drawn_when_they_are_fetched(tmp_path: Path) -> None:
    video = Video("https://h/v", "https://h/v", "https://h/v")
    rows = plan_video(video, PlanSettings(duration_s=5, per_video=2), 0, None, "")
    assert [(row.start_s, row.section) for row in rows] == [(None, 0), (None, 1)]
    path = tmp_path / "plan.csv"
    path.write_text(plan_text(rows, 0))
    assert "random#1" in path.read_text()
    assert read_plan(path) == rows
    assert rows[0].latest_s == float("inf")


def test_a_known_length_makes_the_same_places_as_the_one_found_while_fetching() -> None:
    video = Video("https://h/v", "https://h/v", "https://h/v", duration_s=60.0)
    rows = plan_video(video, PlanSettings(duration_s=5, per_video=3), 7, 60.0, "")
    assert [row.start_s for row in rows] == [section_start(60.0, 5, number, 7, "https://h/v") for number in range(3)]


def test_short_videos_are_no_clips_where_that_is_asked_for() -> None:
    video = Video("v", "v", "v")
    assert plan_video(video, PlanSettings(duration_s=5, shortest_s=3), 0, 2.9, "") == []
    assert len(plan_video(video, PlanSettings(duration_s=5, shortest_s=3), 0, 3.0, "")) == 1


def test_shards_have_room_for_their_spare_candidates(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("".join(f"https://h/{number}\n" for number in range(25)))
    plan = {"duration_s": 5, "clips_per_shard": 10, "spare": 0.2}
    source = {"kind": "list", "path": str(tmp_path / "list.txt")}
    collection = CollectionSettings.model_validate({"source": source, "plan": plan})
    out = tmp_path / "data" / "plan" / "shards.json"
    plan_collection(collection, "pool", 0, tmp_path / "data", out)
    assert [entry["clips"] for entry in json.loads(out.read_text())["shards"]] == [12, 12, 1]


def test_a_longer_list_keeps_every_clip_in_its_place(tmp_path: Path) -> None:
    out = tmp_path / "data" / "plan" / "shards.json"
    for count, per_video in ((25, 1), (40, 1), (40, 2)):
        (tmp_path / "list.txt").write_text("".join(f"https://h/{number}\n" for number in range(count)))
        plan = {"duration_s": 5, "clips_per_shard": 10, "per_video": per_video}
        source = {"kind": "list", "path": str(tmp_path / "list.txt")}
        collection = CollectionSettings.model_validate({"source": source, "plan": plan})
        before = [path.read_text() for path in sorted(out.parent.glob("0*.csv"))][:2]
        plan_collection(collection, "pool", 0, tmp_path / "data", out)
        assert [path.read_text() for path in sorted(out.parent.glob("0*.csv"))][: len(before)] == before
