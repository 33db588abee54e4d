"""The view of a clip shows what is stored, at the right time and with the right colours."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline_src.errors import UserError
from pipeline_src.report.clip_view import flow_colours, read_clip, wheel
from pipeline_src.shards.index import Collection
from pipeline_src.stages import show_clip


def test_each_modality_shows_the_frames_asked_for(pool: Collection) -> None:
    view = read_clip(pool, "clip0", 6, 5)
    frames = pool.reader("rgb", "000000").read(0, 6, 11)
    np.testing.assert_array_equal(view.pictures["rgb"], frames)
    grey = pool.reader("grey", "000000").read(0, 6, 11)
    np.testing.assert_array_equal(view.pictures["grey"], np.repeat(grey, 3, axis=-1))
    # 0.625 s of sound at 40 columns a second, from 0.75 s on.
    sound = pool.reader("audio", "000000").read(0)
    np.testing.assert_array_equal(view.spectrogram, sound[30:55].astype(np.float32))
    assert list(view.pictures) == ["rgb", "flow", "grey"]


def test_the_last_frame_of_a_clip_has_no_motion(pool: Collection) -> None:
    view = read_clip(pool, "clip0", 15, 100)
    assert len(view.pictures["flow"]) == len(view.pictures["rgb"]) == 5
    assert (view.pictures["flow"][-1] == 255).all()
    assert not (view.pictures["flow"][-2] == 255).all()
    one = read_clip(pool, "clip3", 0, 10)
    assert (one.pictures["flow"] == 255).all()


def test_a_silent_clip_has_no_spectrogram(pool: Collection) -> None:
    assert read_clip(pool, "clip2", 0, 5).spectrogram is None


def test_directions_have_the_colours_of_the_usual_wheel() -> None:
    """Baker et al.: right red, down yellow, left cyan, up violet."""
    directions = np.array([[[1, 0], [0, 1], [-1, 0], [0, -1], [0, 0]]], np.float32)[None]
    colours, fastest = flow_colours(directions)
    right, down, left, up, none = colours[0, 0].astype(int).tolist()
    assert fastest == 1
    assert right[0] > 200 > 60 > max(right[1:])
    assert min(down[:2]) > 200 > 60 > down[2]
    assert left[0] < 60 < 200 < min(left[1:])
    assert up[2] > 200 > 60 > up[1]
    assert none == [255, 255, 255]
    # The legend shows each colour where its motion leads.
    found = wheel().astype(int)
    middle = len(found) // 2
    assert np.abs(found[middle, -3] - right).max() < 40
    assert np.abs(found[-3, middle] - down).max() < 40


def test_one_wild_pixel_does_not_make_all_other_motion_white() -> None:
    flow = np.ones((1, 40, 40, 2), np.float32)
    flow[0, 0, 0] = 1000
    colours, fastest = flow_colours(flow)
    assert fastest == pytest.approx(np.sqrt(2))
    assert (colours[0, 5, 5] == colours[0, 0, 0]).all()


def call(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["show_clip", *map(str, arguments)])
    show_clip.main()


def test_a_page_and_a_picture_are_written(pool: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    call(monkeypatch, pool.folder, "clip0", tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as picture:
        assert min(picture.size) > 300
    call(monkeypatch, pool.folder, "clip0", tmp_path / "a.html", "--frames", 12)
    page = (tmp_path / "a.html").read_text()
    assert page.count("data-sprite=") == 3
    assert "frames 0 to 11 of 20" in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "https://" not in page


@pytest.mark.parametrize(
    ("clip", "out", "more", "message"),
    [
        ("clip9", "a.png", [], r"clip9: no usable clip of .* clip0, clip1"),
        ("clip0", "a.gif", [], r"\.gif - allowed: \.html, \.png"),
        ("clip0", "a.png", ["--start", 20], r"--start 20 - allowed: 0 to 19"),
        ("clip0", "a.png", ["--frames", 0], r"--frames 0 - allowed: 1 to 1000"),
    ],
)
def test_mistakes_are_told(
    pool: Collection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    clip: str,
    out: str,
    more: list[object],
    message: str,
) -> None:
    with pytest.raises(UserError, match=message):
        call(monkeypatch, pool.folder, clip, tmp_path / out, *more)
    with pytest.raises(UserError, match=r"index\.json: missing"):
        call(monkeypatch, tmp_path, "clip0", tmp_path / "a.png")
