import os
from itertools import islice
from pathlib import Path

import pandas as pd
import pytest

from pipeline_src.clips import folder_state as folder_state_module
from pipeline_src.clips.folder import list_videos
from pipeline_src.clips.folder_state import check_source, folder_state, list_state
from pipeline_src.clips.sources import list_source
from pipeline_src.errors import UserError
from pipeline_src.settings.clips import CollectionSettings, FolderSource, ListSource


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def listed(tmp_path: Path, text: str, **source: object) -> list:
    (tmp_path / "videos.csv").write_text(text)
    given = {"kind": "list", "path": str(tmp_path / "videos.csv"), **source}
    return list_source(CollectionSettings.model_validate({"source": given}), "mine", tmp_path).videos


def in_folder(path: Path, labels: str = "none") -> list:
    given = {"kind": "folder", "path": str(path), "labels": labels}
    return list_source(CollectionSettings.model_validate({"source": given}), "mine", path).videos


def test_folder_finds_videos_in_subfolders_and_nothing_else(tmp_path: Path) -> None:
    touch(tmp_path, "b.MKV", "a/c.mp4", "a/notes.txt", ".hidden.mp4", ".cache/d.mp4", "a.mp4.part")
    assert [video.identity for video in in_folder(tmp_path)] == ["a/c.mp4", "b.MKV"]


def test_links_cannot_bring_in_files_from_outside_the_folder(tmp_path: Path) -> None:
    touch(tmp_path, "outside/secret.mp4", "mine/real.mp4")
    (tmp_path / "mine" / "leak.mp4").symlink_to(tmp_path / "outside" / "secret.mp4")
    (tmp_path / "mine" / "leaks").symlink_to(tmp_path / "outside")
    (tmp_path / "mine" / "same.mp4").symlink_to("real.mp4")
    (tmp_path / "mine" / "broken.mp4").symlink_to("nothing.mp4")
    assert list_videos(tmp_path / "mine") == ["real.mp4", "same.mp4"]


def test_a_named_pipe_does_not_hang_the_plan(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4")
    os.mkfifo(tmp_path / "pipe.mp4")
    assert list_videos(tmp_path) == ["a.mp4"]


def test_first_subfolder_is_the_class(tmp_path: Path) -> None:
    touch(tmp_path, "run/a.mp4", "jump/deep/b.mp4")
    videos = in_folder(tmp_path, "folder")
    assert [(video.label, video.identity) for video in videos] == [
        ("jump", "jump/deep/b.mp4"),
        ("run", "run/a.mp4"),
    ]


def test_a_video_outside_of_class_folders_is_told(tmp_path: Path) -> None:
    touch(tmp_path, "run/a.mp4", "stray.mp4")
    with pytest.raises(UserError, match=r"stray\.mp4.*move it"):
        in_folder(tmp_path, "folder")


@pytest.mark.parametrize("exists", [True, False])
def test_an_empty_or_missing_folder_names_the_setting(tmp_path: Path, exists: bool) -> None:
    folder = tmp_path / "videos"
    if exists:
        folder.mkdir()
    with pytest.raises(UserError, match=r"collections\.mine\.source\.path: .*videos.*allowed"):
        in_folder(folder)


def test_folder_state_changes_with_every_change_that_matters(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4", "note.txt")
    os.utime(tmp_path / "a.mp4", ns=(1, 1))
    before = folder_state(tmp_path)
    assert before == folder_state(str(tmp_path))
    touch(tmp_path, "other.txt")
    assert folder_state(tmp_path) == before, "files that are no videos do not replan"
    os.utime(tmp_path / "a.mp4", ns=(1, 2))
    touched = folder_state(tmp_path)
    touch(tmp_path, "sub/b.mp4")
    assert len({before, touched, folder_state(tmp_path)}) == 3
    assert folder_state(tmp_path / "nothing") == "missing"


def test_list_reads_all_its_columns(tmp_path: Path) -> None:
    text = '\ufefffile,at,class,s1,from\n"clips/a, b.mp4",1.50,run,Train,v1\nhttps://host/b?v=2,0,jump,val,\n'
    columns = {"path_column": "file", "start_column": "at", "label_column": "class", "split_columns": ["s1"]}
    first, second = listed(tmp_path, text, **columns, source_video_column="from")
    assert (first.path, first.start_s, first.label) == (str(tmp_path / "clips/a, b.mp4"), 1.5, "run")
    assert (first.splits, first.source_video) == (("train",), "v1")
    # What stands behind the question mark may be a secret.
    assert (second.path, second.splits, second.source_video) == (
        "https://host/b?v=2",
        ("validation",),
        "https://host/b#269fc203435a",
    )


def test_relative_paths_start_from_root(tmp_path: Path) -> None:
    assert listed(tmp_path, "path\na.mp4\n/b.mp4\n", root="there")[0].path == "there/a.mp4"
    assert listed(tmp_path, "path\na.mp4\n/b.mp4\n", root="there")[1].path == "/b.mp4"


def test_a_repeated_row_counts_once_and_a_contradiction_is_told(tmp_path: Path) -> None:
    assert len(listed(tmp_path, "path,c\na.mp4,x\na.mp4,x\n", label_column="c")) == 1
    with pytest.raises(UserError, match=r"videos\.csv line 3, column path: 'a\.mp4' - also on line 2"):
        listed(tmp_path, "path,c\na.mp4,x\na.mp4,y\n", label_column="c")


@pytest.mark.parametrize(
    ("text", "source", "message"),
    [
        ("file\na.mp4\n", {}, r"source\.path_column: 'path' - not a column .* allowed: file"),
        ("path\na.mp4\n", {"label_column": "class"}, r"label_column: 'class'"),
        ("path\na.mp4\n", {"split_columns": ["s1"]}, r"split_columns\[0\]: 's1'"),
        ("", {}, "the file is empty"),
        ("path\n", {}, r"mine\.source\.path: .* has no rows"),
        ("path\na.mp4\n \n", {}, r"line 3, column path: ''"),
        ("path\nfile:///etc/passwd\n", {}, r"line 2, column path: 'file:///etc/passwd' - allowed: .*http"),
        ("path\nrtsp://host/a\n", {}, "line 2, column path"),
        (
            "path,at\na.mp4,-1\n",
            {"start_column": "at"},
            r"line 2, column at: '-1' - allowed: a number of seconds",
        ),
        ("path,at\na.mp4,nan\n", {"start_column": "at"}, "column at: 'nan'"),
        ("path,at\na.mp4,1:30\n", {"start_column": "at"}, "column at: '1:30'"),
        (
            "path,s\na.mp4,train\nb.mp4,dev\n",
            {"split_columns": ["s"]},
            r"line 3, column s: 'dev' - allowed: train",
        ),
        ("path,c\na.mp4,\n", {"label_column": "c"}, "line 2, column c: empty"),
        ("path,c\na.mp4\n", {}, "line 2: not 2 fields"),
        ("path\na,b.mp4\n", {}, "line 2: not 1 fields.*quote"),
        ("path\na\0b.mp4\n", {}, "line 2: a NUL character"),
        ('path\n"https://h/x\ry.mp4"\n', {}, r"line \d, column path.*printable"),
        ('path\n"a.mp4\n', {}, "not a text or CSV file"),
    ],
)
def test_a_wrong_list_is_one_line_that_names_place_and_value(
    tmp_path: Path, text: str, source: dict, message: str
) -> None:
    with pytest.raises(UserError, match=message) as raised:
        listed(tmp_path, text, **source)
    assert "\n" not in str(raised.value)


HIDDEN = "S3CRET"


@pytest.mark.parametrize(
    ("text", "source", "message"),
    [
        (
            f"path,at\nhttp://h/v?token={HIDDEN},1\nhttp://h/v?token={HIDDEN},1.0001\n",
            {"start_column": "at"},
            r"column path: 'http://h/v' - also on line 2",
        ),
        (f"path\nrtsp://me:{HIDDEN}@h/v\n", {}, r"line 2, column path: 'rtsp://h/v' - allowed"),
        (f'path\n"http://me@h/v?token={HIDDEN}\tx"\n', {}, r"line 2, column path: 'http://h/v' - allowed: printable"),
        (f"http://h/v?token={HIDDEN}\n", {}, r"path_column: 'path' - not a column of .*; allowed: http://h/v$"),
        (f"path,http://h/v?{HIDDEN},http://h/v?{HIDDEN}\n", {}, r"columns path, http://h/v, http://h/v - allowed"),
        (
            f"path,at\nv.mp4,http://h/v?token={HIDDEN}\n",
            {"start_column": "at"},
            r"column at: 'http://h/v' - allowed: a number",
        ),
    ],
)
def test_an_address_is_told_without_what_may_be_secret(tmp_path: Path, text: str, source: dict, message: str) -> None:
    with pytest.raises(UserError, match=message) as raised:
        listed(tmp_path, text, **source)
    assert HIDDEN not in str(raised.value)


def test_source_videos_are_named_without_secrets_and_told_apart(tmp_path: Path) -> None:
    secret = [f"http://h/v{end}{HIDDEN}" for end in ("?", "#a", "?a=", "?b=")]
    secret += [f"http://me:{HIDDEN}@h/v", f"http://you:{HIDDEN}@h/v", f"http://me:a/{HIDDEN}@h/v"]
    named = [video.source_video for video in listed(tmp_path, "\n".join(["path", *secret]))]
    assert len(set(named)) == len(secret)
    assert HIDDEN not in "".join(named)
    grouped = listed(
        tmp_path, "\n".join(["path,from", f"a.mp4,{secret[0]}", f"b.mp4,{secret[0]}"]), source_video_column="from"
    )
    assert {video.source_video for video in grouped} == {named[0]}


def test_a_list_that_is_missing_or_binary_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"source\.path: .*cannot be read: No such file"):
        list_source(
            CollectionSettings.model_validate({"source": {"kind": "list", "path": str(tmp_path / "no.csv")}}),
            "mine",
            tmp_path,
        )
    (tmp_path / "bin.csv").write_bytes(b"path\n\xff\xfe\n")
    with pytest.raises(UserError, match="UTF-8"):
        list_source(
            CollectionSettings.model_validate({"source": {"kind": "list", "path": str(tmp_path / "bin.csv")}}),
            "mine",
            tmp_path,
        )


def test_the_rendered_world_is_read_from_its_own_list(tmp_path: Path) -> None:
    world = tmp_path / "world"
    world.mkdir()
    (world / "videos.csv").write_text("path,label,split_1,source_video\nv.mp4,spin,test,source_0\n")
    pool = list_source(CollectionSettings.model_validate({"source": {"kind": "world"}}), "pool", tmp_path).videos
    given = {"source": {"kind": "world", "part": "labelled"}}
    labelled = list_source(CollectionSettings.model_validate(given), "shapes", tmp_path).videos
    assert (pool[0].path, pool[0].label, pool[0].source_video) == (str(world / "v.mp4"), "", "v.mp4")
    assert (labelled[0].label, labelled[0].splits, labelled[0].source_video) == (
        "spin",
        ("test",),
        "source_0",
    )


def test_a_replaced_file_of_a_list_changes_its_state_and_a_url_does_not(tmp_path: Path) -> None:
    """Else its clips would stay those of the old file."""
    table = tmp_path / "list.csv"
    table.write_text("path\na.mp4\nhttps://example.org/b.mp4\nmissing.mp4\n")
    video = tmp_path / "a.mp4"
    video.write_bytes(b"one")
    before = list_state(table, "path", None)
    assert list_state(table, "path", tmp_path) == before
    video.write_bytes(b"another")
    assert list_state(table, "path", None) != before
    assert list_state(tmp_path / "none.csv", "path", None) == "missing"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (FolderSource(kind="folder", path="none"), "c.source.path: 'none' - no such folder"),
        (ListSource(kind="list", path="none.csv"), "c.source.path: 'none.csv' - no such file"),
    ],
)
def test_a_missing_source_is_told_before_anything_runs(source: FolderSource | ListSource, expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        check_source("c.source", source)


MIXED = ("dQw4w9WgXcQ", "-_-_-_-_-_-", "https://example.org/a.mp4?x=1", "here.mp4", "a file of words")


def test_a_text_list_mixes_youtube_ids_urls_and_paths(tmp_path: Path) -> None:
    (tmp_path / "here.mp4").touch()
    (tmp_path / "local_file_").touch()  # Eleven characters, as an id has; the file wins.
    (tmp_path / "list.txt").write_text("# mine\n\n" + "\n".join([*MIXED, "local_file_"]) + "\n")
    source = {"kind": "list", "path": str(tmp_path / "list.txt")}
    videos = list_source(CollectionSettings.model_validate({"source": source}), "mine", tmp_path).videos
    assert [video.path for video in videos] == [
        "https://www.youtube.com/watch?v=dQw4w9WgXcQ",
        "https://www.youtube.com/watch?v=-_-_-_-_-_-",
        "https://example.org/a.mp4?x=1",
        str(tmp_path / "here.mp4"),
        str(tmp_path / "a file of words"),
        str(tmp_path / "local_file_"),
    ]
    assert [video.identity for video in videos] == [*MIXED, "local_file_"]


def test_a_parquet_list_is_read_like_the_same_csv(tmp_path: Path) -> None:
    table = pd.DataFrame({"path": MIXED, "length": [60.5, None, 7.0, 1.0, 2.0], "class": list("aabba")})
    table.to_parquet(tmp_path / "list.parquet")
    table.to_csv(tmp_path / "list.csv", index=False)
    found = []
    for name in ("list.parquet", "list.csv"):
        source = {"kind": "list", "path": str(tmp_path / name), "duration_column": "length", "label_column": "class"}
        collection = CollectionSettings.model_validate({"source": source, "splits": {}})
        found.append(list_source(collection, "mine", tmp_path).videos)
    assert found[0][0].duration_s == 60.5
    assert found[0][1].duration_s is None
    assert found[0] == found[1]


def test_a_file_that_only_says_it_is_parquet_is_told(tmp_path: Path) -> None:
    (tmp_path / "list.parquet").write_text("path\n")
    source = {"kind": "list", "path": str(tmp_path / "list.parquet")}
    with pytest.raises(UserError, match="not a parquet file"):
        list_source(CollectionSettings.model_validate({"source": source}), "mine", tmp_path)


def test_the_state_of_a_list_of_millions_is_cheap(tmp_path: Path) -> None:
    """Every job of a cluster reads it."""
    path = tmp_path / "list.txt"
    path.write_text("".join(f"https://example.org/{number}.mp4\n" for number in range(200_000)))
    opened: list[int] = []

    def counted(rows: object, most: int) -> object:
        opened.append(most)
        return islice(rows, most)  # type: ignore[call-overload]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folder_state_module, "islice", counted)
        assert list_state(path, "path", None) != "missing"
    assert opened == [folder_state_module.TRACKED]
    assert folder_state_module.TRACKED <= 50_000
