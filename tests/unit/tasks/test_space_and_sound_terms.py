"""Terms of space, and of sound and picture."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from pipeline_src.batches.views import View
from pipeline_src.tasks.jigsaw import unlike_permutations
from tests.unit.tasks.inputs import (
    SOUND,
    VIDEOS,
    Rows,
    binary_cross_entropy,
    build,
    check_accuracy,
    cross_entropy,
    following,
    given,
    lines,
    numbers,
    pooled,
    recorded,
    reference,
)


@reference("rotation", "aspect_ratio")
@pytest.mark.parametrize(
    ("name", "settings", "view", "classes"),
    [
        ("rgb.rotation", {}, View("rgb", "rotated"), 4),
        ("rgb.aspect_ratio", {"ratios": 5, "largest": 1.5}, View("rgb", "stretched", (5, 1.5)), 5),
    ],
)
def test_rotation_and_aspect_ratio_are_told_by_cross_entropy(
    name: str, settings: dict[str, object], view: View, classes: int
) -> None:
    term = build(name, **settings)
    assert term.encoded == (view,)
    inputs = given(term)
    logits, labels = numbers(term.head(pooled(inputs.features[view]))), inputs.labels[view].tolist()
    assert logits.shape[1] == classes
    assert term(inputs).item() == pytest.approx(cross_entropy(logits, labels), rel=1e-9)
    check_accuracy(term.outcome(inputs), [row.argmax() == label for row, label in zip(logits, labels)], 1 / classes)


@pytest.mark.parametrize(
    ("pieces", "asked", "count", "apart"), [(4, 64, 24, 2), (4, 4, 4, 4), (9, 64, 64, 6), (16, 30, 30, 13)]
)
def test_permutations_are_distinct_and_far_apart(pieces: int, asked: int, count: int, apart: int) -> None:
    found = unlike_permutations(pieces, asked).tolist()
    assert len({tuple(order) for order in found}) == len(found) == count
    assert all(sorted(order) == list(range(pieces)) for order in found)
    nearest = [
        min(sum(a != b for a, b in zip(order, other)) for other in found[:i]) for i, order in enumerate(found) if i
    ]
    assert nearest == sorted(nearest, reverse=True)
    assert nearest[0] == pieces
    assert nearest[-1] >= apart


@reference("jigsaw")
@pytest.mark.parametrize("grid", [2, 3])
def test_jigsaw_tells_the_permutation_from_the_pieces_as_shown(grid: int) -> None:
    term = build("rgb.jigsaw", grid=grid, permutations=10)
    (view,) = term.encoded
    assert view == View("rgb", "pieces", (grid,))
    calls, met = recorded(term.head), set()
    orders = term.permutations.tolist()
    for step in range(10):
        inputs = replace(given(term), seed=(3, step))
        value = term(inputs)
        shown, logits = calls.pop()
        labels = []
        among = numbers(pooled(inputs.features[view])).reshape(6, grid**2, 5)
        for parts, pieces in zip(shown.reshape(6, grid**2, 5), among, strict=True):
            order = [int(np.flatnonzero((pieces == part).all(1)).item()) for part in parts]
            labels.append(orders.index(order))
        assert logits.shape == (6, 10)
        assert value.item() == pytest.approx(cross_entropy(logits, labels), rel=1e-9)
        check_accuracy(term.outcome(inputs), [row.argmax() == label for row, label in zip(logits, labels)], 1 / 10)
        calls.clear()
        met.update(labels)
    assert met == set(range(10))


@reference("relative_position")
def test_relative_position_tells_which_neighbour_of_the_middle_is_shown() -> None:
    """Neighbours are numbered row by row without the middle."""
    term = build("rgb.relative_position")
    (view,) = term.encoded
    assert view == View("rgb", "pieces", (3,))
    calls, met = recorded(term.head), set()
    for step in range(10):
        inputs = replace(given(term), seed=(3, step))
        value = term(inputs)
        shown, logits = calls.pop()
        labels = []
        for parts, pieces in zip(shown, numbers(pooled(inputs.features[view])).reshape(6, 9, 5), strict=True):
            np.testing.assert_array_equal(parts[:5], pieces[4])
            place = int(np.flatnonzero((pieces == parts[5:]).all(1)).item())
            labels.append([0, 1, 2, 3, None, 4, 5, 6, 7][place])
        assert value.item() == pytest.approx(cross_entropy(logits, labels), rel=1e-9)
        check_accuracy(term.outcome(inputs), [row.argmax() == label for row, label in zip(logits, labels)], 1 / 8)
        calls.clear()
        met.update(labels)
    assert met == set(range(8))


@reference("l3")
@pytest.mark.parametrize("videos", [VIDEOS, (4, 4, 4, 1, 2, 2)])
def test_l3_tells_a_pictures_own_sound_from_another_videos(videos: Rows) -> None:
    term = build("audio~rgb.l3")
    assert term.encoded == (View("audio"), View("rgb", "middle"))
    inputs = given(term, videos=videos)
    other = following([videos[clip] for clip in SOUND])
    sound = term.project_first(pooled(inputs.features[View("audio")]))
    picture = term.project_second(pooled(inputs.features[View("rgb", "middle")]))
    pairs = [(i, i) for i in range(4)] + [(other[i], i) for i in range(4)]
    logits = np.array([term.head(torch.cat([sound[i], picture[SOUND[j]]])).item() for i, j in pairs])
    truth = [1] * 4 + [0] * 4
    assert term(inputs).item() == pytest.approx(binary_cross_entropy(logits, truth), rel=1e-9)
    check_accuracy(term.outcome(inputs), [(x > 0) == y for x, y in zip(logits, truth)], 0.5)


@reference("avts")
@pytest.mark.parametrize(
    ("progress", "hard", "shifted"), [(0.0, 1.0, ()), (0.49, 1.0, ()), (0.5, 1.0, (0, 3)), (0.9, 0.0, ())]
)
@pytest.mark.parametrize("videos", [VIDEOS, (4, 4, 4, 1, 2, 2)])
def test_avts_pulls_synchronous_pairs_and_pushes_others_to_the_margin(
    videos: Rows, progress: float, hard: float, shifted: tuple[int, ...]
) -> None:
    """Negatives are other videos, in the second half shifted ones; the clips 2 and 5 are too short to be shifted."""
    term = build("audio~rgb.avts", margin=1.2, easy=0.5, hard=hard)
    assert term.encoded == (View("audio"), View("rgb"), View("audio", "shifted"))
    inputs = given(term, videos=videos, unusable={"shifted": (2, 5)}, progress=progress)
    sound, there = (lines(term.project_first(pooled(inputs.features[View("audio", t)]))) for t in ("plain", "shifted"))
    video = lines(term.project_second(pooled(inputs.features[View("rgb")])))[list(SOUND)]
    other = following([videos[clip] for clip in SOUND])
    wrong = [there[i] if clip in shifted else sound[other[i]] for i, clip in enumerate(SOUND)]
    own, apart = (cdist(x, video).diagonal() for x in (sound, np.array(wrong)))
    expected = (sum(own**2) / 4 + sum(max(0, 1.2 - d) ** 2 for d in apart) / 4) / 2
    assert term(inputs).item() == pytest.approx(expected, rel=1e-6)
    check_accuracy(term.outcome(inputs), own < apart, 0.5)


def test_a_share_of_the_negatives_of_avts_is_hard() -> None:
    """All clips sound and look alike, but shifted ones sound different: the loss is linear in their share."""
    term = build("audio~rgb.avts", margin=10.0, easy=0.0, hard=0.25)
    clips = range(1000)
    inputs = given(term, videos=clips, sound=clips)
    for found in inputs.features.values():
        found.layers[3].data[:] = found.layers[3].data[:1]

    def loss(easy: float, hard: float) -> float:
        term.easy, term.hard = easy, hard
        return term(inputs).item()

    share = (loss(0.0, 0.25) - loss(1.0, 0.25)) / (loss(0.0, 1.0) - loss(1.0, 0.25))
    assert share == pytest.approx(0.25, abs=0.05)
