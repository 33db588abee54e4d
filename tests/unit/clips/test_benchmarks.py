"""Small trees in the layouts of the authors. What is lost otherwise: splits and groups that others' results rest on."""

import csv
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from pipeline_src.clips import benchmark_lists, benchmarks
from pipeline_src.clips.benchmark_lists import hmdb_source_video
from pipeline_src.clips.benchmarks import Official, list_benchmark
from pipeline_src.clips.folder_state import check_source
from pipeline_src.clips.plan import plan_collection
from pipeline_src.clips.rows import read_plan
from pipeline_src.clips.split_files import split_files
from pipeline_src.clips.video import Listing, Video
from pipeline_src.errors import UserError
from pipeline_src.files import read_json
from pipeline_src.settings.clips import BenchmarkSource, CollectionSettings
from pipeline_src.settings.run import load_settings
from tests.tiny_run import ROOT

ACTIONS = ROOT.parent / "shared/data/real/actions.csv"
TAGS = "u_nm_np1_ba_goo"
IDS = ("aaaaaaaaaaa", "-bbbbbbbbb_", "ccccccccccc", "ddddddddddd")


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def hmdb(folder: Path, splits: str = "testTrainMulti_7030_splits", videos: str = "hmdb51_org") -> Path:
    """Classes clap and wave of 3 clips; clip k is for testing in split k + 1, #2 of wave unused in split 3."""
    for label in ("clap", "wave"):
        names = [f"#{k}_Film_{label}_{TAGS}_0.avi" for k in range(3)]
        for name in names:
            write(folder / videos / label / name, f"{label} {name}")
        for split in (1, 2, 3):
            codes = [2 if k + 1 == split else 1 for k in range(3)]
            if label == "wave" and split == 3:
                codes[1] = 0
            lines = "".join(f"{name} {code} \n" for name, code in zip(names, codes, strict=True))
            write(folder / splits / f"{label}_test_split{split}.txt", lines)
    return folder / videos


def ucf(folder: Path) -> Path:
    """Classes Archery and HandstandPushups, groups 1 to 3 of two clips; group k is for testing in split k."""
    classes = {"Archery": "Archery", "HandstandPushups": "HandStandPushups"}
    lists = folder / "ucfTrainTestlist"
    write(lists / "classInd.txt", "1 Archery\r\n2 HandstandPushups\r\n")
    for split in (1, 2, 3):
        train, test = "", ""
        for number, (label, name) in enumerate(classes.items(), 1):
            for group in (1, 2, 3):
                for clip in (1, 2):
                    line = f"{label}/v_{name}_g0{group}_c0{clip}.avi"
                    write(folder / "UCF-101" / line, line)
                    test += f"{line}\r\n" if group == split else ""
                    train += f"{line} {number}\r\n" if group != split else ""
        write(lists / f"trainlist0{split}.txt", train)
        write(lists / f"testlist0{split}.txt", test)
    return folder / "UCF-101"


def kinetics(folder: Path, test_label: str = "") -> Path:
    """Two training rows, a validation row and a test row; files in class folders, by id alone, and flat."""
    head = "label,youtube_id,time_start,time_end,split\n"
    write(
        folder / "train.csv", f'{head}archery,{IDS[0]},1,11,train\n"massaging, person\'s head",{IDS[1]},20,30,train\n'
    )
    write(folder / "validate.csv", f"{head}archery,{IDS[2]},5,15,validate\n")
    write(folder / "test.csv", f"{head}{test_label},{IDS[3]},0,10,test\n")
    write(folder / "videos/train/archery" / f"{IDS[0]}_000001_000011.mp4", "a")
    write(folder / "videos" / f"{IDS[1]}.mp4", "b")
    write(folder / "videos" / f"{IDS[2]}_000005_000015.webm", "c")
    write(folder / "videos/test" / f"{IDS[3]}_000000_000010.mp4", "d")
    return folder / "videos"


def read(name: str, path: Path, **more: object) -> Listing:
    source = BenchmarkSource.model_validate({"kind": "benchmark", "name": name, "path": str(path), **more})
    return list_benchmark(source, "collections.mine.source")


def by_name(listing: Listing) -> dict[str, Video]:
    return {os.path.basename(video.identity): video for video in listing.videos}


def fails(name: str, path: Path, match: str, **more: object) -> None:
    with pytest.raises(UserError, match=match) as raised:
        read(name, path, **more)
    assert "\n" not in str(raised.value)


def test_hmdb51_has_its_three_splits_and_groups(tmp_path: Path) -> None:
    listing = read("hmdb51", hmdb(tmp_path))
    assert len(listing.videos) == 6
    video = by_name(listing)[f"#1_Film_wave_{TAGS}_0.avi"]
    assert video.identity == f"wave/#1_Film_wave_{TAGS}_0.avi"
    assert video.path == str(tmp_path / "hmdb51_org" / video.identity)
    assert (video.label, video.splits, video.source_video) == ("wave", ("train", "test", "unused"), "#1_Film")


@pytest.mark.parametrize(
    ("name", "label", "source"),
    [
        ("April_09_brush_hair_u_nm_np1_ba_goo_0", "brush_hair", "April_09"),
        ("boom_snap_clap_(challenge)_clap_u_nm_np1_fr_med_10", "clap", "boom_snap_clap_(challenge)"),
        ("Bad_f_cm_np2_le_bad_1_jump_l_cm_np12_ri_bad_1", "jump", "Bad_f_cm_np2_le_bad_1"),
        ("Film_otherword_f_cm_np1_fr_med_3", "jump", "Film_otherword"),
        ("somebody_jumps", "jump", ""),
        ("Film_jump_f_cm_np1_fr_med", "jump", ""),
    ],
)
def test_the_source_video_precedes_action_and_tags(name: str, label: str, source: str) -> None:
    assert hmdb_source_video(name, label) == source


@pytest.mark.skipif(not ACTIONS.exists(), reason="the shared real videos are not here")
def test_groups_and_parts_of_real_names_agree_with_their_table(tmp_path: Path) -> None:
    """The table's groups cut a name at the action's first occurrence: those of such names are left out."""
    with open(ACTIONS) as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        write(tmp_path / "videos" / row["label"] / f"{Path(row['path']).stem}.avi", row["path"])
        for k in (1, 2, 3):
            (tmp_path / "splits").mkdir(exist_ok=True)
            with open(tmp_path / "splits" / f"{row['label']}_test_split{k}.txt", "a") as out:
                code = {"unused": 0, "train": 1, "test": 2}[row[f"split{k}"]]
                out.write(f"{Path(row['path']).stem}.avi {code}\n")
    listing = read("jhmdb", tmp_path / "videos")
    assert listing.note.startswith(
        "jhmdb: 465 of the official 928 clips are there (the split files name 465); 10 of 21"
    )
    found = {Path(video.identity).stem: video for video in listing.videos}
    for row in rows:
        video = found[Path(row["path"]).stem]
        assert video.splits == (row["split1"], row["split2"], row["split3"])
        if f"_{row['label']}_" not in f"{row['source_video']}_{video.source_video}_":
            assert video.source_video == row["source_video"]


def test_ucf101_has_its_groups_whatever_the_case_of_names(tmp_path: Path) -> None:
    path = ucf(tmp_path)
    renamed = path / "HandstandPushups" / "v_HandstandPushups_g01_c01.avi"
    (path / "HandstandPushups" / "v_HandStandPushups_g01_c01.avi").rename(renamed)
    listing = read("ucf101", path)
    assert len(listing.videos) == 12
    video = by_name(listing)["v_Archery_g02_c01.avi"]
    assert (video.label, video.splits, video.source_video) == ("Archery", ("train", "test", "train"), "v_Archery_g02")
    assert by_name(listing)[renamed.name].source_video == "v_HandStandPushups_g01"


def test_kinetics_finds_files_by_id_and_time_and_is_tested_on_validation_without_test_labels(tmp_path: Path) -> None:
    listing = read("kinetics", kinetics(tmp_path))
    found = {video.source_video: video for video in listing.videos}
    assert {name: video.splits for name, video in found.items()} == {
        IDS[0]: ("train",),
        IDS[1]: ("train",),
        IDS[2]: ("test",),
    }
    assert found[IDS[1]].label == "massaging, person's head"
    assert listing.note == (
        "kinetics: 3 of the 3 clips that its lists name are there; split 1 has 2 train and 1 test clips; no clip of a"
        " labelled test list is there: the validation list is the test part; 1 clip whose labels are held back"
        f" left out; 1 video that no split file names left out, first 'test/{IDS[3]}_000000_000010.mp4'"
    )


def test_kinetics_with_labelled_test_clips_keeps_its_validation_part(tmp_path: Path) -> None:
    path = kinetics(tmp_path, test_label="archery")
    assert {video.splits for video in read("kinetics", path).videos} == {("train",), ("validation",), ("test",)}
    next(path.glob("test/*.mp4")).unlink()
    listing = read("kinetics", path)
    assert {video.splits for video in listing.videos} == {("train",), ("test",)}
    assert f"3 of the 4 clips that its lists name are there; 1 missing, first '{IDS[3]}_000000_000010'" in listing.note


def test_missing_clips_and_classes_are_counted_in_one_line_and_the_rest_goes_on(tmp_path: Path) -> None:
    path = ucf(tmp_path)
    for clip in (path / "Archery").iterdir():
        clip.unlink()
    (path / "HandstandPushups" / "mine.avi").write_text("x")
    note = read("ucf101", path, splits=1).note
    assert note == (
        "ucf101: 6 of the official 13320 clips are there (the split files name 12); 6 missing, first"
        " 'Archery/v_Archery_g01_c01'; 1 of 101 classes, without Archery; split 1 has 4 of 9537 train and 2 of 3783"
        " test clips; 1 video that no split file names left out, first 'HandstandPushups/mine.avi'; results on a"
        " part of a benchmark do not compare with published ones"
    )


def test_a_complete_benchmark_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(benchmarks.OFFICIAL, "hmdb51", Official(6, 2, ((4, 2), (4, 2), (3, 2))))
    assert read("hmdb51", hmdb(tmp_path)).note == "hmdb51: all 6 official clips are there"


def test_official_counts_are_those_of_the_papers() -> None:
    assert benchmarks.OFFICIAL["hmdb51"] == Official(6766, 51, ((51 * 70, 51 * 30),) * 3)
    assert [sum(split) for split in benchmarks.OFFICIAL["ucf101"].splits] == [13320] * 3
    assert benchmarks.OFFICIAL["jhmdb"] == Official(928, 21)


@pytest.mark.parametrize("folder", ["testTrainMulti_7030_splits", "splits", "hmdb51_org", "hmdb51_org/splits", "."])
def test_split_files_are_found_in_the_folder_or_beside_it(tmp_path: Path, folder: str) -> None:
    assert len(read("hmdb51", hmdb(tmp_path, splits=folder)).videos) == 6


def test_split_files_elsewhere_are_named_by_a_setting(tmp_path: Path) -> None:
    path = hmdb(tmp_path / "a", splits="far/away")
    fails(
        "hmdb51", path, r"mine\.source\.split_folder: no split files of hmdb51 in .*allowed: a folder with CLASS_test"
    )
    assert len(read("hmdb51", path, split_folder=str(tmp_path / "a/far/away")).videos) == 6


def test_the_first_splits_are_taken_and_no_others_are_needed(tmp_path: Path) -> None:
    path = hmdb(tmp_path)
    for file in tmp_path.glob("*/*_split3.txt"):
        file.unlink()
    fails("hmdb51", path, r"split_folder: '.*7030_splits' lacks 'clap_test_split3\.txt' and 1 more")
    assert {len(video.splits) for video in read("hmdb51", path, splits=2).videos} == {2}


@pytest.mark.parametrize(("name", "splits", "most"), [("ucf101", 4, 3), ("kinetics", 2, 1), ("jhmdb", 9, 3)])
def test_an_unknown_split_is_told(name: str, splits: int, most: int) -> None:
    with pytest.raises(ValidationError, match=f"splits {splits}: allowed: 1 to {most} for {name}"):
        BenchmarkSource.model_validate({"kind": "benchmark", "name": name, "path": "x", "splits": splits})


def test_every_setting_of_a_labelled_set_follows(tmp_path: Path) -> None:
    source = {"kind": "benchmark", "name": "ucf101", "path": "x", "splits": 2}
    collection = CollectionSettings.model_validate({"source": source})
    assert (collection.labelled, collection.split_count) == (True, 2)
    config = {"collections": {"pool": {"source": {"kind": "world"}}, "set": {"source": source, "splits": {"count": 1}}}}
    with pytest.raises(UserError, match=r"collections\.set\.splits: given for a set with splits of its own"):
        load_settings(config)
    config = {"collections": {"pool": {"source": source}}}
    with pytest.raises(UserError, match=r"collections\.pool\.source: labelled - allowed: a source without labels"):
        load_settings(config)


@pytest.mark.parametrize(
    ("build", "name", "file", "text", "message"),
    [
        (
            hmdb,
            "hmdb51",
            "*/clap_test_split1.txt",
            "a.avi\n",
            r"split1\.txt line 1: 'a\.avi' - allowed: a file name and",
        ),
        (hmdb, "hmdb51", "*/clap_test_split1.txt", "\na.avi 3\n", r"line 2: 'a\.avi 3'"),
        (
            hmdb,
            "hmdb51",
            "*/clap_test_split1.txt",
            "../wave/a.avi 1\n",
            r"line 1: '\.\./wave/a\.avi' - allowed",
        ),
        (hmdb, "hmdb51", "*/clap_test_split1.txt", "/etc/passwd 1\n", r"'/etc/passwd' - allowed: the name of a file"),
        (hmdb, "hmdb51", "*/clap_test_split1.txt", "a.avi 1\na.avi 2\n", r"line 2: 'a' is for train and for test"),
        (hmdb, "hmdb51", "*/clap_test_split1.txt", "a\x07.avi 1\n", "line 1: .*printable"),
        (ucf, "ucf101", "*/classInd.txt", "Archery 1\n", r"classInd\.txt line 1: 'Archery 1' - allowed: a number and"),
        (ucf, "ucf101", "*/classInd.txt", "1 Archery\n", r"class 'HandstandPushups' - allowed: those of classInd"),
        (ucf, "ucf101", "*/classInd.txt", "1 A\n1 B\n", "line 2: '1 B'"),
        (ucf, "ucf101", "*/trainlist01.txt", "Archery\n", r"trainlist01\.txt line 1: 'Archery' - allowed: Class/name"),
        (ucf, "ucf101", "*/trainlist01.txt", "Archery/a.avi 2\n", "line 1: 'Archery' has the number 2 - allowed: 1"),
        (ucf, "ucf101", "*/trainlist01.txt", "../a.avi 1\n", r"line 1: class '\.\.'"),
        (ucf, "ucf101", "*/trainlist01.txt", "Archery/../../a.avi 1\n", r"line 1: '\.\./\.\./a\.avi'"),
        (
            ucf,
            "ucf101",
            "*/trainlist01.txt",
            "Archery/v_Archery_g01_c01.avi 1\n",
            r"for test and for train",
        ),
        (ucf, "ucf101", "*/trainlist01.txt", "HandstandPushups/v_Archery_g01_c01.avi 2\n", "is of class .* elsewhere"),
        (
            kinetics,
            "kinetics",
            "train.csv",
            "label,youtube_id\n",
            r"line 1: columns label, youtube_id - allowed",
        ),
        (kinetics, "kinetics", "train.csv", "ok,{0},1,11,tune\n", "line 2, column split: 'tune' - allowed: train"),
        (kinetics, "kinetics", "train.csv", "ok,../../../etc,1,11,train\n", "column youtube_id: '../../../etc'"),
        (
            kinetics,
            "kinetics",
            "train.csv",
            "ok,{0},-1,11,train\n",
            "column time_start: '-1' - allowed: a whole",
        ),
        (kinetics, "kinetics", "train.csv", "ok,{0},1,9999999,train\n", "column time_end: '9999999'"),
        (kinetics, "kinetics", "train.csv", ",{0},1,11,train\n", "column label: ''"),
        (kinetics, "kinetics", "train.csv", "ok,{0},1,11\n", "line 2: 4 fields - allowed: 5"),
        (kinetics, "kinetics", "train.csv", 'ok,{0},1,11,"train\n', "line 2: not a row of CSV"),
        (
            kinetics,
            "kinetics",
            "train.csv",
            "ok,{2},5,15,train\n",
            r"'archery' for validation, but 'ok' for train in",
        ),
    ],
)
def test_a_wrong_split_file_is_one_line_that_names_place_and_value(
    tmp_path: Path, build: Callable[[Path], Path], name: str, file: str, text: str, message: str
) -> None:
    path = build(tmp_path)
    (target,) = tmp_path.glob(file)
    rows = text.startswith(("ok,", ","))
    target.write_text(("label,youtube_id,time_start,time_end,split\n" if rows else "") + text.format(*IDS))
    fails(name, path, message)


def test_split_files_that_are_missing_twice_there_or_no_text_are_told(tmp_path: Path) -> None:
    path = ucf(tmp_path / "u")
    (tmp_path / "u/ucfTrainTestlist/testlist02.txt").rename(tmp_path / "u/ucfTrainTestlist/testlist1.txt")
    fails("ucf101", path, r"has '.*testlist01\.txt' and '.*testlist1\.txt' - allowed: one|has '.*testlist1\.txt' and")
    (tmp_path / "u/ucfTrainTestlist/testlist1.txt").unlink()
    fails("ucf101", path, r"lacks 'testlist02\.txt' - allowed: a folder with classInd\.txt")
    path = kinetics(tmp_path / "k")
    (tmp_path / "k/train.csv").write_bytes(b"\xff\xfe")
    fails("kinetics", path, r"train\.csv: not text in UTF-8")
    (tmp_path / "k/train.csv").unlink()
    fails("kinetics", path, r"lacks 'train\.csv'")


def test_a_split_file_without_end_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark_lists, "MAX_BYTES", 100)
    fails("hmdb51", hmdb(tmp_path), r"clap_test_split1\.txt: \d+ bytes - allowed: at most 100")


def test_a_line_that_would_take_minutes_to_understand_is_refused(tmp_path: Path) -> None:
    path = ucf(tmp_path)
    (tmp_path / "ucfTrainTestlist/trainlist01.txt").write_text("Archery/a" + " " * 100_000 + "b.avi\n")
    fails("ucf101", path, r"trainlist01\.txt line 1: 100014 characters - allowed: at most 4096")


def test_a_class_whose_name_would_break_lines_is_not_taken(tmp_path: Path) -> None:
    path = hmdb(tmp_path)
    (tmp_path / "testTrainMulti_7030_splits/a\x1b_test_split1.txt").write_text("a.avi 1\n")
    assert {video.label for video in read("hmdb51", path).videos} == {"clap", "wave"}


def test_a_linked_split_file_or_video_from_elsewhere_is_not_taken(tmp_path: Path) -> None:
    path = hmdb(tmp_path / "mine", splits="splits")
    outside = tmp_path / "secret.txt"
    outside.write_text("a.avi 1\n")
    split = tmp_path / "mine/splits/clap_test_split1.txt"
    split.unlink()
    split.symlink_to(outside)
    fails("hmdb51", path, r"lacks 'clap_test_split1\.txt'")
    split.unlink()
    split.write_text(f"leak_clap_{TAGS}_0.avi 1\n")
    (path / "clap" / f"leak_clap_{TAGS}_0.avi").symlink_to(outside)
    assert not [video for video in read("hmdb51", path).videos if "leak" in video.identity]


def test_a_folder_that_is_no_benchmark_is_told(tmp_path: Path) -> None:
    path = hmdb(tmp_path / "a")
    fails("hmdb51", tmp_path / "none", "no split files of hmdb51")
    lists = str(tmp_path / "a/testTrainMulti_7030_splits")
    fails("hmdb51", tmp_path / "none", r"source\.path: '.*none' - allowed: an existing folder", split_folder=lists)
    write(tmp_path / "flat/a.avi", "x")
    fails("hmdb51", tmp_path / "flat", "has no class folder with videos", split_folder=lists)
    write(tmp_path / "other/clap/a.avi", "x")
    fails("hmdb51", tmp_path / "other", r"has none of the 6 clips .*such as 'clap/#0_Film", split_folder=lists)
    write(path / "smile/a.avi", "x")
    fails("hmdb51", path, r"no split file for the class of '.*smile' - allowed: smile_test_split1\.txt")


def test_a_clip_that_is_there_twice_is_told(tmp_path: Path) -> None:
    path = hmdb(tmp_path)
    copy = path / "again" / "wave" / f"#1_Film_wave_{TAGS}_0.mp4"
    write(copy, "x")
    fails("hmdb51", path, r"1 clip there twice, first 'again/wave/#1.*' and 'wave/#1.*'; keep one")


def test_a_file_that_two_rows_may_mean_is_told(tmp_path: Path) -> None:
    path = kinetics(tmp_path)
    with open(tmp_path / "train.csv", "a") as file:
        file.write(f"archery,{IDS[1]},50,60,train\n")
    fails("kinetics", path, rf"'{IDS[1]}\.mp4' may be '{IDS[1]}_000020_000030' .* or '{IDS[1]}_000050_000060'")


def test_the_plan_keeps_the_line_for_the_report_and_its_clips_their_parts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = {"kind": "benchmark", "name": "hmdb51", "path": str(hmdb(tmp_path))}
    collection = CollectionSettings.model_validate({"source": source, "plan": {"duration_s": None}})
    out = tmp_path / "data" / "plan" / "shards.json"
    plan_collection(collection, "mine", 0, tmp_path / "data", out)
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("hmdb51: ")]
    assert line.startswith("hmdb51: 6 of the official 6766 clips are there")
    assert read_json(out)["note"] == line
    rows = read_plan(out.parent / "000000.csv")
    assert {row.source_video for row in rows} == {"#0_Film", "#1_Film", "#2_Film"}
    assert all(len(row.splits) == 3 for row in rows)


def test_a_missing_benchmark_is_told_before_anything_runs(tmp_path: Path) -> None:
    source = BenchmarkSource(kind="benchmark", name="ucf101", path=str(tmp_path / "none"))
    with pytest.raises(UserError, match=r"c\.source\.path: .*no such folder"):
        check_source("c.source", source)
    (tmp_path / "none").mkdir()
    with pytest.raises(UserError, match=r"c\.source\.split_folder: no split files of ucf101"):
        check_source("c.source", source)


def test_the_split_files_of_the_used_splits_are_what_a_plan_depends_on(tmp_path: Path) -> None:
    source = BenchmarkSource(kind="benchmark", name="ucf101", path=str(ucf(tmp_path)), splits=1)
    names = [Path(file.path).name for file in split_files(source, "c.source")]
    assert names == ["classInd.txt", "testlist01.txt", "trainlist01.txt"]
