"""Terms that compare the features of single frames: slowness, nearness in time, cycles."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from scipy.special import softmax

from pipeline_src.batches.views import View
from pipeline_src.settings import catalogue
from pipeline_src.tasks import tcn
from tests.unit.tasks.inputs import (
    FRAMES,
    SHAPES,
    VIDEOS,
    apart,
    build,
    check_accuracy,
    following,
    frames_of,
    given,
    lines,
    reference,
)

STILLS = View("rgb", "frames")


def pushed(pairs: Sequence[tuple[np.ndarray, np.ndarray]], margin: float) -> float:
    return float(np.mean([max(0, margin - math.sqrt(((a - b) ** 2).sum())) ** 2 for a, b in pairs]))


@reference("slow_steady")
@pytest.mark.parametrize("frames", [5, 6, 9])
@pytest.mark.parametrize("videos", [VIDEOS, (4, 4, 4, 1, 2, 2), (4, 4, 4), (3,)])
def test_slow_and_steady_features_change_little_and_evenly(videos: Sequence[int], frames: int) -> None:
    """Features of far frames and of other videos are pushed apart, and changes half a window apart."""
    shapes = replace(SHAPES, frames=frames)
    term = build("rgb.slow_steady", shapes, steady=0.6, margin=1.3)
    inputs = given(term, videos=videos, shapes=shapes)
    z = lines(term.head(frames_of(inputs, STILLS)))
    half, other = frames // 2, following(videos)
    change = [[clip[t] - clip[t + 1] for t in range(frames - 1)] for clip in z]
    slow = np.mean([(step**2).sum() for steps in change for step in steps])
    away = pushed([(clip[t], clip[t - half]) for clip in z for t in range(frames)], 1.3)
    if len(z) > 1:
        strange = [(clip[t], z[other[n]][t]) for n, clip in enumerate(z) for t in range(frames)]
        away = (away + pushed(strange, 1.3)) / 2
    steady = np.mean([((s[t] - s[t + 1]) ** 2).sum() for s in change for t in range(frames - 2)])
    bent = pushed([(s[t], s[t - half]) for s in change for t in range(frames - 1)], 1.3)
    expected = (slow + away + 0.6 * (steady + bent)) / 2
    assert term(inputs).item() == pytest.approx(expected, rel=1e-6)
    right = [
        ((clip[t] - clip[t + 1]) ** 2).sum() < ((clip[t] - clip[t + half]) ** 2).sum()
        for clip in z
        for t in range(frames - half)
    ]
    check_accuracy(term.outcome(inputs), right, 0.5)


def test_slow_and_steady_features_need_windows_in_which_far_is_not_near() -> None:
    """Half a window away, around the end, is then no neighbour: neither of a frame nor of a difference."""

    def far(count: int, step: int) -> int:
        return min(abs(t - (t - step) % count) for t in range(count))

    enough = [frames for frames in range(2, 20) if min(far(frames, frames // 2), far(frames - 1, frames // 2)) > 1]
    assert enough[0] == catalogue.minimum_frames("slow_steady") == 5
    assert enough == list(range(5, 20))


@reference("tcn")
@pytest.mark.parametrize(("frames", "near", "reach"), [(4, 0.15, 1), (6, 0.15, 1), (12, 0.17, 2), (13, 0.25, 3)])
def test_tcn_is_the_triplet_loss_of_near_and_far_frames(
    frames: int, near: float, reach: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Far is more than twice the reach; where no frame is, the farthest one."""
    shapes = replace(SHAPES, frames=frames)
    term = build("rgb.tcn", shapes, near=near, margin=0.3)
    chosen: list[list[list[int]]] = []
    picked = tcn.picked

    def noted(embeddings: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        chosen.append(places.tolist())
        return picked(embeddings, places)

    monkeypatch.setattr(tcn, "picked", noted)
    met: set[tuple[str, int, int]] = set()
    for step in range(30):
        chosen.clear()
        inputs = replace(given(term, shapes=shapes), seed=(3, step))
        value, gaps = term(inputs), []
        z = lines(term.head(frames_of(inputs, STILLS)))
        for clip, close, distant in zip(z, *chosen, strict=True):
            apart = cdist(clip, clip, "sqeuclidean")
            for t in range(frames):
                farthest = max(t, frames - 1 - t)
                assert 1 <= abs(close[t] - t) <= reach
                assert abs(distant[t] - t) > 2 * reach or abs(distant[t] - t) == farthest <= 2 * reach
                met |= {("near", t, close[t]), ("far", t, distant[t])}
                gaps.append((apart[t, close[t]], apart[t, distant[t]]))
        expected = np.mean([max(0, 0.3 + pull - push) for pull, push in gaps])
        assert value.item() == pytest.approx(expected, rel=1e-9)
        check_accuracy(term.outcome(inputs), [pull < push for pull, push in gaps], 0.5)
    for t in range(frames):
        assert {place for kind, at, place in met if (kind, at) == ("near", t)} == {
            place for place in range(frames) if 1 <= abs(place - t) <= reach
        }


def landing(u: np.ndarray, v: np.ndarray, i: int, temperature: float) -> tuple[float, float]:
    """Where frame i of a clip (T, D) lands, by way of another one, as a share of the window; and its variance."""
    near = softmax([-((u[i] - other) ** 2).sum() / temperature for other in v])
    there = sum(share * other for share, other in zip(near, v))
    back = softmax([-((there - own) ** 2).sum() / temperature for own in u])
    places = np.arange(len(u)) / (len(u) - 1)
    mean = sum(back * places)
    return mean, sum(back * (places - mean) ** 2)


@reference("cycle_consistency")
@pytest.mark.parametrize("frames", [2, 5, FRAMES])
def test_cycle_consistency_is_the_scaled_distance_of_a_frames_way_back(frames: int) -> None:
    """Dwibedi et al. 2019, equation 3; the variance is at least that of neighbouring frames."""
    shapes = replace(SHAPES, frames=frames)
    term = build("rgb.cycle_consistency", shapes, temperature=0.3, variance=0.2)
    views = (View("rgb", "frames1"), View("rgb", "frames2"))
    assert term.encoded == views
    inputs = given(term, shapes=shapes)
    one, two = (lines(term.head(apart(frames_of(inputs, view)))) for view in views)
    spacing, losses, right = 1 / (frames - 1), [], []
    for u, v in zip(one, two, strict=True):
        for i in range(frames):
            mean, variance = landing(u, v, i, 0.3)
            variance += spacing**2
            losses.append((i * spacing - mean) ** 2 / variance + 0.2 * math.log(math.sqrt(variance)))
            right.append(np.argmin(((v - u[i]) ** 2).sum(1)) == i)
    assert term(inputs).item() == pytest.approx(np.mean(losses), rel=1e-9)
    check_accuracy(term.outcome(inputs), right, 1 / frames)


def cycles(one: Sequence[int], two: Sequence[int]) -> tuple[float, list[float]]:
    """Loss and outcome of a clip of five frames whose features are unit vectors of these numbers."""
    shapes = replace(SHAPES, frames=5)
    term = build("rgb.cycle_consistency", shapes, temperature=0.01, variance=0.0, size=5)
    term.head.weight.data, term.head.bias.data = torch.eye(5).double(), torch.zeros(5).double()
    inputs = given(term, videos=(3,), shapes=shapes)
    for view, shown in zip(term.encoded, (one, two), strict=True):
        inputs.features[view].layers[3].data = torch.eye(5)[list(shown)].double()[..., None, None, None]
    return term(inputs).item(), term.outcome(inputs).values.tolist()


def test_frames_that_find_their_like_come_home_in_whatever_order_they_are() -> None:
    """Right are those that find it at their own time."""
    for order, right in (([0, 1, 2, 3, 4], [1, 1, 1, 1, 1]), ([2, 4, 0, 3, 1], [0, 0, 0, 1, 0])):
        assert cycles(range(5), order) == (pytest.approx(0, abs=1e-9), right)


def test_frames_that_look_alike_land_between_them() -> None:
    """The last two look alike: both land in their middle, half a spacing away, which is neither right nor wrong.

    Their variance is that of the two places, 1/8 from the middle, and the least, that of neighbouring frames, 1/16.
    """
    loss, right = cycles([0, 1, 2, 3, 3], [0, 1, 2, 3, 3])
    assert right[:4] == [1, 1, 1, 1]
    assert loss == pytest.approx(2 / 5 * (1 / 64) / (1 / 64 + 1 / 16), rel=1e-9)


def test_frames_without_a_like_land_in_the_middle_of_all() -> None:
    """The other crop's frames are all alike, so nothing sets one apart, and the way back ends anywhere."""
    loss, right = cycles(range(5), [4, 4, 4, 4, 4])
    assert right == [1, 0, 0, 0, 0]
    variance = np.var(np.arange(5) / 4) + 1 / 16
    assert loss == pytest.approx(np.mean([(i / 4 - 0.5) ** 2 / variance for i in range(5)]), rel=1e-9)
