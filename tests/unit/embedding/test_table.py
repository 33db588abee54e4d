"""Tables of embedded videos, and the search in them: neighbours are right, and vectors of two encoders never mix."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline_src.embedding.table import ClipEmbedding, nearest, read_table, write_table
from pipeline_src.errors import UserError
from pipeline_src.stages import embed_videos, search_videos
from tests.exported import make_encoder, make_export

ROWS = [
    ClipEmbedding("a, b.mp4", 0.0, 2.5, "ok", "", np.array([1, 0, 1e-8], np.float32)),
    ClipEmbedding("ü.mp4", 2.5, 0.0, "undecodable", 'said "no"', np.zeros(0, np.float32)),
    ClipEmbedding("c.mp4", 0.0, 1 / 3, "ok", "cut", np.array([-0.5, 1 / 3, 0], np.float32)),
]


@pytest.mark.parametrize("suffix", [".parquet", ".npz", ".csv"])
def test_a_table_is_read_as_it_was_written(tmp_path: Path, suffix: str) -> None:
    write_table(tmp_path / f"t{suffix}", ROWS, "net, 12ab", 3)
    table = read_table(tmp_path / f"t{suffix}")
    assert table.encoder == "net, 12ab"
    for ours, wanted in zip(table.rows, ROWS, strict=True):
        plain = [name for name in vars(wanted) if name != "embedding"]
        assert [getattr(ours, name) for name in plain] == [getattr(wanted, name) for name in plain]
        np.testing.assert_array_equal(ours.embedding, wanted.embedding)
    assert np.isnan(table.vectors[1]).all()


def test_parquet_has_the_columns_that_others_read(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    write_table(tmp_path / "t.parquet", ROWS, "net", 3)
    schema = pq.read_schema(tmp_path / "t.parquet")
    assert schema.names == ["path", "start_s", "duration_s", "status", "reason", "encoder", "embedding"]
    assert str(schema.field("embedding").type) == "list<element: float>"


def test_without_pyarrow_the_user_is_told_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UserError, match=r"pip install pyarrow\) - allowed: .npz and .csv"):
        write_table(tmp_path / "t.parquet", ROWS, "net", 3)


def test_the_nearest_are_those_of_the_largest_cosine() -> None:
    vectors = np.array([[2, 0], [0, 3], [1, 1], [np.nan, 0], [-1, 0], [0, 0]], np.float32)
    found = nearest(np.array([1.0, 0.0]), vectors, 4)
    assert [row for row, _ in found] == [0, 2, 1, 5]
    np.testing.assert_allclose([value for _, value in found], [1, np.sqrt(0.5), 0, 0])


HEAD = "path,start_s,duration_s,status,reason,encoder,embedding\n"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", b"a,b\n1,2\n"),
        ("t.csv", f"{HEAD}a.mp4,0\n".encode()),
        ("t.csv", f"{HEAD}a.mp4,0,1,ok,,net,1 x\n".encode()),
        ("t.csv", f"{HEAD}a.mp4,0,1,ok,,net,1 2,3\n".encode()),
        ("t.csv", b"\xff\xfe" * 9),
        ("t.csv", HEAD.encode() + b"\0," * 9),
        ("t.npz", b"PK"),
        ("t.npz", b""),
        ("t.parquet", b"PAR1"),
        ("t.parquet", b""),
    ],
)
def test_files_that_are_no_tables_are_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match="not a table of embed_videos") as raised:
        read_table(tmp_path / name)
    assert "\n" not in str(raised.value)
    with pytest.raises(UserError, match="no such file"):
        read_table(tmp_path / f"x{name}")
    with pytest.raises(UserError, match="allowed: a name that ends with"):
        read_table(tmp_path / "t.txt")


@pytest.mark.parametrize("suffix", [".parquet", ".npz", ".csv"])
def test_damaged_tables_are_one_line(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"t{suffix}"
    write_table(path, ROWS, "net", 3)
    whole = path.read_bytes()
    random = np.random.default_rng(0)
    told = []
    for keep in random.integers(0, len(whole), 40):
        flipped = bytearray(whole)
        flipped[keep] ^= 1 << int(random.integers(8))
        for content in (whole[:keep], bytes(flipped)):
            path.write_bytes(content)
            try:
                read_table(path)
            except UserError as error:
                told.append(str(error))
    assert len(told) > 20
    assert [text for text in told if not text.startswith(str(path)) or "\n" in text] == []


def test_an_npz_that_unpacks_to_more_than_the_file_is_refused(tmp_path: Path) -> None:
    write_table(tmp_path / "t.npz", ROWS, "net", 3)
    with np.load(tmp_path / "t.npz") as file:
        np.savez_compressed(tmp_path / "t.npz", **file)
    with pytest.raises(UserError, match="compressed"):
        read_table(tmp_path / "t.npz")


@pytest.mark.parametrize("suffix", [".parquet", ".npz", ".csv"])
def test_an_embedding_of_another_programs_table_that_is_not_finite_is_none(tmp_path: Path, suffix: str) -> None:
    rows = [*ROWS, ClipEmbedding("d.mp4", 0.0, 1.0, "ok", "", np.array([1, np.inf, 0], np.float32))]
    write_table(tmp_path / f"t{suffix}", rows, "net", 3)
    table = read_table(tmp_path / f"t{suffix}")
    assert (table.rows[3].status, table.rows[3].embedding.shape) == ("other", (0,))
    assert table.rows[3].reason == "its embedding is not finite"
    assert [row for row, _ in nearest(np.array([1.0, 0, 0]), table.vectors, 9)] == [0, 2]


def test_names_in_a_foreign_table_do_nothing_to_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [*ROWS, ClipEmbedding("\x1b[2J\udce9.mp4", 0.0, 1.0, "ok", "", np.ones(3, np.float32))]
    write_table(tmp_path / "t.npz", rows, "net", 3)
    call(monkeypatch, search_videos, 0, "--embeddings", tmp_path / "t.npz")
    assert capsys.readouterr().out.splitlines()[1].endswith("  ?[2J?.mp4")


def call(monkeypatch: pytest.MonkeyPatch, stage: object, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["stage", *map(str, arguments)])
    stage.main()


def test_a_video_finds_itself_and_a_row_finds_others(
    tmp_path: Path, ffmpeg: Callable[..., None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "videos").mkdir()
    for name, source in (("a", "testsrc2=s=64x48"), ("b", "testsrc2=s=64x48:r=20"), ("c", "mandelbrot=s=64x48")):
        ffmpeg("-f", "lavfi", "-i", source, "-t", 1, "-pix_fmt", "yuv420p", tmp_path / "videos" / f"{name}.mp4")
    (tmp_path / "videos" / "d.mp4").write_text("text")
    out, export = tmp_path / "out.csv", make_export(tmp_path / "export")
    call(monkeypatch, embed_videos, tmp_path / "videos", out, "--encoder", export, "--num-workers", 1)
    assert "3 clips of 4 videos embedded, 1 failed" in capsys.readouterr().out
    video = tmp_path / "videos" / "a.mp4"
    call(monkeypatch, search_videos, video, "--embeddings", out, "--encoder", export, "--top", 2)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["row", "0", "1"]
    assert lines[1].split()[1] == "1.0000"
    assert lines[1].endswith("a.mp4")
    call(monkeypatch, search_videos, 0, "--embeddings", out)
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["row", "1", "2"]

    for query, more, message in (
        (video, (), "name the encoder of .* with --encoder"),
        (3, (), "3: this row has no embedding: undecodable"),
        (4, (), "has rows 0 to 3"),
        (0, ("--top", 0), "--top 0"),
        ("none.mp4", (), "no such file - allowed: a video, or the number of a row"),
        (tmp_path / "videos" / "d.mp4", ("--encoder", export), "cannot be embedded: undecodable"),
    ):
        with pytest.raises(UserError, match=message):
            call(monkeypatch, search_videos, query, "--embeddings", out, *more)
    videos = sorted((tmp_path / "videos").glob("[abc].mp4"))
    for words in ((*videos, "--encoder", export, out), ("--encoder", export, *videos, out)):
        call(monkeypatch, embed_videos, *words, "--num-workers", 1)
        assert f"{out}: 3 clips of 3 videos embedded, 0 failed" in capsys.readouterr().out
    other = make_export(tmp_path / "other", make_encoder(1), window={"frames": 6, "crop": 24})
    with pytest.raises(UserError, match=r"6x24x24 of .* - .*out.csv was made with small_r3d, 4x24x24 of"):
        call(monkeypatch, search_videos, video, "--embeddings", out, "--encoder", other)
    for more, message in (
        (("--clip-duration", 0), "--clip-duration 0 - allowed: a frame, 0.125 s, or more"),
        (("--num-workers", 0), "allowed: 1 or more"),
    ):
        with pytest.raises(UserError, match=message):
            call(monkeypatch, embed_videos, video, out, "--encoder", export, *more)


@pytest.mark.parametrize(
    ("out", "told"),
    [
        ("folder.npz", "folder.npz: a folder - allowed: a file's name"),
        ("file/t.npz", r"file/t.npz: cannot be written \(.*\) - allowed: a name in a folder where you may write"),
        (f"{250 * 'x'}.npz", "cannot be written"),
    ],
)
def test_a_table_that_cannot_be_written_is_told_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str, told: str
) -> None:
    """Hours of embedding would be lost."""
    (tmp_path / "folder.npz").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=told):
        call(monkeypatch, embed_videos, "none.mp4", tmp_path / out, "--encoder", tmp_path / "none")
    assert {path.name for path in tmp_path.iterdir()} == {"folder.npz", "file"}
