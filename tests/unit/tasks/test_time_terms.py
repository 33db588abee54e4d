"""Terms of speed and order."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline_src.batches.views import View
from pipeline_src.tasks.frames import moving_frames
from tests.unit.tasks.inputs import (
    VIDEOS,
    apart,
    binary_cross_entropy,
    build,
    check_accuracy,
    contrast,
    cross_entropy,
    frames_of,
    given,
    grids_of,
    lines,
    numbers,
    pooled,
    recorded,
    reference,
)

STILLS = View("rgb", "frames")


def positions(shown: np.ndarray, among: np.ndarray) -> list[int]:
    """Which rows of `among` the (equally long) parts of `shown` are."""
    parts = shown.reshape(-1, among.shape[1])
    return [int(np.flatnonzero(np.isclose(among, part).all(1)).item()) for part in parts]


def where_it_moves(window: torch.Tensor, count: int, spacing: int) -> list[int]:
    """The evenly spaced frames between which a clip (C, T, H, W) changes most."""
    clip = numbers(window)
    span = spacing * (count - 1)
    changes = [np.abs(clip[:, t + 1] - clip[:, t]).mean() for t in range(clip.shape[1] - 1)]
    start = max(range(clip.shape[1] - span), key=lambda s: sum(changes[s : s + span]))
    return [start + spacing * number for number in range(count)]


@reference("transrank")
def test_transrank_ranks_the_clips_of_a_video_by_their_own_score() -> None:
    term = build("rgb.transrank", margin=0.4)
    (view,) = term.encoded
    assert view == View("rgb", "ranked")
    inputs = given(term, unusable={"ranked": (2, 5)})
    rows = [0, 1, 3, 4]
    # Of each clip three in a row: normal, double, reversed.
    scores = [numbers(term.head(pooled(inputs.features[view])[[3 * row + i for row in rows]])) for i in range(3)]
    leads = [scores[j][n][j] - scores[i][n][j] for n in range(4) for i in range(3) for j in range(3) if i != j]
    assert term(inputs).item() == pytest.approx(np.mean([max(0, 0.4 - lead) for lead in leads]), rel=1e-9)
    check_accuracy(term.outcome(inputs), [lead > 0 for lead in leads], 0.5)


@reference("speed")
def test_speed_is_the_cross_entropy_of_normal_against_double_speed() -> None:
    term = build("rgb.speed")
    (view,) = term.encoded
    assert view == View("rgb", "speed")
    inputs = given(term, unusable={"speed": (0, 4)})
    rows = [1, 2, 3, 5]
    logits = numbers(term.head(pooled(inputs.features[view])[rows]))[:, 0]
    truth = inputs.labels[view][rows].tolist()
    assert set(truth) == {0, 1}
    assert term(inputs).item() == pytest.approx(binary_cross_entropy(logits, truth), rel=1e-9)
    check_accuracy(term.outcome(inputs), [(x > 0) == y for x, y in zip(logits, truth)], 0.5)


@reference("temporal_transformations")
def test_temporal_transformations_are_told_apart_by_cross_entropy() -> None:
    term = build("rgb.temporal_transformations")
    (view,) = term.encoded
    assert view == View("rgb", "playback")
    inputs = given(term, unusable={"playback": (3,)})
    rows = [0, 1, 2, 4, 5]
    logits = numbers(term.head(pooled(inputs.features[view])))[rows]
    labels = inputs.labels[view][rows].tolist()
    assert logits.shape[1] == 6
    assert term(inputs).item() == pytest.approx(cross_entropy(logits, labels), rel=1e-9)
    check_accuracy(term.outcome(inputs), [row.argmax() == label for row, label in zip(logits, labels)], 1 / 6)


@reference("pace")
def test_pace_is_the_cross_entropy_of_both_paces_and_a_contrast_of_both_clips() -> None:
    term = build("rgb.pace", contrast=0.7, temperature=0.3)
    views = (View("rgb", "pace1"), View("rgb", "pace2"))
    assert term.encoded == views
    inputs = given(term, unusable={"pace1": (4,), "pace2": (2,)})
    rows = [0, 1, 3, 5]
    logits = np.concatenate([numbers(term.classifier(pooled(inputs.features[view])[rows])) for view in views])
    labels = [int(inputs.labels[view][row]) for view in views for row in rows]
    z = [lines(term.projector(pooled(inputs.features[view])[rows])) for view in views]
    losses = []
    for one, two in (z, z[::-1]):
        for i, row in enumerate(rows):
            below = [two[j] for j, other in enumerate(rows) if VIDEOS[other] != VIDEOS[row]]
            losses.append(contrast(one[i], [two[i]], below, 0.3))
    expected = cross_entropy(logits, labels) + 0.7 * np.mean(losses)
    assert term(inputs).item() == pytest.approx(expected, rel=1e-9)
    check_accuracy(term.outcome(inputs), [row.argmax() == label for row, label in zip(logits, labels)], 1 / 4)


@pytest.mark.parametrize(
    ("name", "moment"),
    [
        ("rgb.transrank", "ranked"),
        ("rgb.speed", "speed"),
        ("rgb.pace", "pace2"),
        ("rgb.temporal_transformations", "playback"),
    ],
)
def test_speeds_are_not_told_where_no_clip_is_long_enough(name: str, moment: str) -> None:
    """Short clips would give the speed away by their padding."""
    term = build(name)
    inputs = given(term, unusable={moment: range(6)})
    assert term(inputs) is None
    assert term.outcome(inputs) is None


@pytest.mark.parametrize(("frames", "count"), [(4, 4), (5, 5), (8, 4), (16, 4), (16, 5), (32, 5)])
def test_frames_are_evenly_spaced_where_the_clip_moves_most(frames: int, count: int) -> None:
    window = torch.randn(8, 3, frames, 4, 4, generator=torch.Generator().manual_seed(frames))
    found = moving_frames(window, count).tolist()
    spacing = found[0][1] - found[0][0]
    assert found == [where_it_moves(clip, count, spacing) for clip in window]


def test_frames_are_spaced_as_widely_as_leaves_a_choice_of_starts() -> None:
    for frames, count in itertools.product((5, 8, 10, 11, 14, 16, 32), (4, 5)):
        found = moving_frames(torch.randn(1, 3, frames, 4, 4), count)[0]
        wide = [spacing for spacing in range(1, frames) if spacing * (count - 1) + 2 <= frames]
        assert (found[1] - found[0]).item() == max(wide, default=1), (frames, count)


@reference("shuffle_and_learn")
def test_shuffle_and_learn_tells_ordered_from_unordered_triples() -> None:
    """Of frames a to e where the clip moves: b c d, either way, against a or e between b and d."""
    term = build("rgb.shuffle_and_learn")
    assert (term.encoded, term.targets) == ((STILLS,), (View("rgb"),))
    calls, met = recorded(term.head), set()
    for step in range(20):
        inputs = replace(given(term), seed=(3, step))
        value = term(inputs)
        shown, logits = calls.pop()
        five = [where_it_moves(clip, 5, 1) for clip in inputs.targets[View("rgb")]]
        for i, triple in enumerate(shown):
            among = numbers(frames_of(inputs, STILLS))[i % 6]
            letters = "".join("abcde"[five[i % 6].index(place)] for place in positions(triple, among))
            assert letters in (("bcd", "dcb") if i < 6 else ("bad", "bed", "dab", "deb"))
            met.add(letters)
        truth = [1] * 6 + [0] * 6
        assert value.item() == pytest.approx(binary_cross_entropy(logits[:, 0], truth), rel=1e-9)
        check_accuracy(term.outcome(inputs), [(x > 0) == y for x, y in zip(logits[:, 0], truth)], 0.5)
        calls.clear()
    assert len({tuple(places) for places in five}) > 1
    assert len(met) == 6


@reference("order_sorting")
def test_order_sorting_tells_twelve_orders_and_takes_a_reversed_one_for_the_same() -> None:
    term = build("rgb.order_sorting")
    assert (term.encoded, term.targets) == ((STILLS,), (View("rgb"),))
    classes: list[tuple[int, ...]] = []
    for order in itertools.permutations(range(4)):
        if order[::-1] not in classes:
            classes.append(order)
    assert len(classes) == 12
    pairs, heads, met = recorded(term.pair), recorded(term.head), set()
    for step in range(20):
        inputs = replace(given(term), seed=(3, step))
        value = term(inputs)
        logits = heads[0][1]
        assert logits.shape == (6, 12)
        labels = []
        for i, among in enumerate(numbers(apart(grids_of(inputs, STILLS)))):
            four = where_it_moves(inputs.targets[View("rgb")][i], 4, 1)
            seen = [tuple(four.index(place) for place in positions(shown[i], among)) for shown, _ in pairs]
            order = (seen[0][0], *(pair[1] for pair in seen[:3]))
            assert seen == list(itertools.combinations(order, 2))
            labels.append(classes.index(order if order in classes else order[::-1]))
            met.add(order)
        joined = np.concatenate([np.maximum(out, 0) for _, out in pairs], 1)
        np.testing.assert_allclose(heads[0][0], joined)
        assert value.item() == pytest.approx(cross_entropy(logits, labels), rel=1e-9)
        check_accuracy(term.outcome(inputs), [row.argmax() == label for row, label in zip(logits, labels)], 1 / 12)
        pairs.clear()
        heads.clear()
    assert len(met) > 20


@reference("odd_one_out")
def test_odd_one_out_scores_each_sub_clip_by_its_difference_from_all() -> None:
    term = build("rgb.odd_one_out", questions=4)
    (view,) = term.encoded
    assert view == View("rgb", "questions", (4,))
    inputs = given(term)
    logits = []
    for clip in pooled(inputs.features[view]).reshape(6, 4, 5):
        middle = sum(clip) / 4
        logits.append([term.head((part - middle)[None]).item() for part in clip])
    labels = inputs.labels[view].tolist()
    assert term(inputs).item() == pytest.approx(cross_entropy(np.array(logits), labels), rel=1e-9)
    check_accuracy(term.outcome(inputs), [np.argmax(row) == label for row, label in zip(logits, labels)], 1 / 4)
