"""Moments: which frames each kind of view reads, and which clips are long enough for it."""

from collections import Counter

import numpy as np
import pytest

from pipeline_src.batches.moments import (
    MOMENTS,
    PLAYBACKS,
    Moment,
    Place,
    draw,
    last_start,
    place_windows,
    shuffled,
)
from pipeline_src.batches.windows import even_starts
from pipeline_src.settings.learning import WindowSettings

WINDOW = WindowSettings(frames=8, crop=16, future_frames=3)


def drawn(name: str, length: int, start: int = 0, count: int = 60) -> list[Moment]:
    return [draw(name, Place(length, start, None, WINDOW), (1, step, 0)) for step in range(count)]


def test_a_window_leaves_room_for_the_future_and_its_flow_where_the_clip_has_it() -> None:
    assert last_start(20, 8, 4) == 7
    assert last_start(12, 8, 4) == 4
    assert last_start(5, 8, 4) == 0


def test_evaluation_windows_cover_the_clip() -> None:
    assert even_starts(20, 8, 3) == [0, 6, 12]
    assert even_starts(20, 8, 1) == [6]
    assert even_starts(5, 8, 3) == [0, 0, 0]


def test_a_shifted_window_is_at_least_half_a_window_away_and_no_likelier_anywhere() -> None:
    """Were shifted windows likelier at a clip's end, they would be told by fade-outs instead of by synchrony."""
    random = np.random.default_rng(0)
    places = [place_windows(30, WINDOW, random) for _ in range(20_000)]
    pairs = Counter((place.start, place.shifted) for place in places)
    starts = range(last_start(30, 8, 3) + 1)
    wanted = {(a, b) for a in starts for b in starts if abs(a - b) >= 4}
    assert set(pairs) == wanted
    expected = len(places) / len(wanted)
    assert sum((count - expected) ** 2 / expected for count in pairs.values()) < 1.3 * len(wanted)


@pytest.mark.parametrize("length", [1, 8, 9, 11, 12, 15])
def test_a_clip_too_short_to_shift_says_so(length: int) -> None:
    place = place_windows(length, WINDOW, np.random.default_rng(0))
    assert place.shifted is None
    moment = draw("shifted", place, (0, 0, 0))
    assert not moment.usable
    assert moment.frames.tolist() == draw("now", place, (0, 0, 0)).frames.tolist()
    assert place_windows(16, WINDOW, np.random.default_rng(0)).shifted is not None


@pytest.mark.parametrize(
    ("name", "widest"),
    [("speed", 15), ("pace1", 29), ("playback", 29), ("ranked", 18)],
)
def test_all_speeds_show_the_same_places_of_a_clip(name: str, widest: int) -> None:
    """Else the clip's last frames would only be seen at high speed."""
    middles: dict[int, list[float]] = {}
    for moment in drawn(name, 40, count=600):
        for number, frames in enumerate(moment.frames.reshape(-1, 8)):
            middles.setdefault(10 * number + moment.label, []).append((frames.min() + frames.max()) / 2)
    assert len(middles) > 1
    for found in middles.values():
        assert abs(np.mean(found) - 19.5) < 2.5
        assert min(found) >= widest / 2 - 1.5
        assert max(found) <= 40 - widest / 2 + 1


def test_the_next_frames_follow_the_window_and_may_lie_beyond_the_end() -> None:
    (moment,) = drawn("next", 13, 1, count=1)
    assert moment.frames.tolist() == [9, 10, 11]
    assert moment.usable
    # Of twelve frames there are eleven flows: the last would be made up.
    assert not drawn("next", 12, 1, count=1)[0].usable


def test_crops_lie_anywhere_and_each_by_itself() -> None:
    starts = {name: [moment.frames[0] for moment in drawn(name, 30, count=300)] for name in ("crop1", "crop2")}
    assert set(starts["crop1"]) == set(range(23))
    assert starts["crop1"] != starts["crop2"]
    assert all(np.diff(moment.frames).tolist() == [1] * 7 for moment in drawn("crop1", 30))


def test_double_speed_takes_every_second_frame() -> None:
    moments = drawn("speed", 15, count=60)
    assert {moment.label for moment in moments} == {0, 1}
    assert all(np.diff(moment.frames).tolist() == [2 - moment.label] * 7 for moment in moments)
    assert moments[0].usable
    assert not drawn("speed", 14)[0].usable


def test_ranked_clips_have_jittered_speeds_and_one_plays_backward() -> None:
    for number, (low, high) in enumerate(((0.8, 1.2), (1.6, 2.4), (-1.2, -0.8))):
        clips = [moment.frames.reshape(3, 8)[number] for moment in drawn("ranked", 40)]
        speeds = [(frames[-1] - frames[0]) / 7 for frames in clips]
        assert min(speeds) >= low - 0.08
        assert max(speeds) <= high + 0.08
        assert max(speeds) - min(speeds) > 0.2


@pytest.mark.parametrize("name", ["ranked", "pace1", "playback", "speed"])
def test_the_length_of_a_clip_says_nothing_about_the_speed_drawn(name: str) -> None:
    """Were only fast draws too long for short clips, padding would give the speed away."""
    for length in (9, 14, 17, 24, 28, 29, 40):
        assert len({moment.usable for moment in drawn(name, length)}) == 1
    assert all(max(moment.frames) < 40 for moment in drawn(name, 40))


def test_paces_are_told_and_even() -> None:
    moments = drawn("pace1", 60, count=200)
    assert {moment.label for moment in moments} == {0, 1, 2, 3}
    assert all(set(np.diff(moment.frames)) == {moment.label + 1} for moment in moments)


def test_playbacks_are_what_their_label_says() -> None:
    moments = drawn("playback", 60, count=300)
    by_kind = {kind: [m.frames for m in moments if PLAYBACKS[m.label] == kind] for kind in PLAYBACKS}
    assert all(len(found) > 20 for found in by_kind.values())
    for kind, step in (("1x", 1), ("2x", 2), ("4x", 4)):
        assert all(set(np.diff(frames)) == {step} for frames in by_kind[kind])
    for frames in by_kind["random"]:
        assert sorted(frames - frames.min()) == list(range(8))
        assert set(np.diff(frames)) not in ({1}, {-1})
    for frames in by_kind["periodic"]:
        assert (frames - frames[0]).tolist() == [0, 1, 2, 3, 3, 2, 1, 0]
    for frames in by_kind["warped"]:
        hops = set(np.diff(frames).tolist())
        assert hops <= {1, 2, 3, 4}
        assert len(hops) > 1


def test_shuffled_frames_are_neither_in_order_nor_reversed() -> None:
    random = np.random.default_rng(0)
    for frames in (3, 4, 8):
        for _ in range(50):
            order = shuffled(frames, random)
            assert sorted(order) == list(range(frames))
            assert order.tolist() not in (list(range(frames)), list(range(frames))[::-1])
    assert shuffled(2, random).tolist() == [1, 0]


def test_a_keyframe_is_one_frame_from_anywhere() -> None:
    assert {int(moment.frames[0]) for moment in drawn("keyframe", 5)} == set(range(5))


@pytest.mark.parametrize("name", sorted(MOMENTS))
@pytest.mark.parametrize("length", [1, 2, 7, 8, 9, 100])
def test_no_moment_asks_for_frames_before_the_clip(name: str, length: int) -> None:
    for moment in drawn(name, length):
        assert moment.frames.min() >= 0
        assert not moment.usable or moment.frames.max() < max(length, 8)
