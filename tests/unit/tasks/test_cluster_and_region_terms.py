"""Terms that label clips by balanced clusters, and SCRL's boxes of two crops of a clip."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from torch import Tensor

from pipeline_src.batches.draws import Draws
from pipeline_src.batches.transforms import TRANSFORMS
from pipeline_src.batches.views import View
from pipeline_src.tasks.scrl import common_part, inner_boxes, pooled_regions, seen_from
from pipeline_src.tasks.sinkhorn import balanced
from tests.unit.tasks.inputs import (
    VIDEOS,
    build,
    check_agreement,
    cross_entropy,
    given,
    lines,
    numbers,
    pooled,
    reference,
)

ZOOMS = (View("rgb", "zoom1"), View("rgb", "zoom2"))


def sinkhorn_knopp(scores: np.ndarray, epsilon: float, rounds: int) -> np.ndarray:
    """Caron et al. 2020, listing 1: clusters in rows, clips in columns."""
    q = np.exp(scores / epsilon).T
    q /= q.sum()
    clusters, clips = q.shape
    for _ in range(rounds):
        q /= q.sum(1, keepdims=True) * clusters
        q /= q.sum(0, keepdims=True) * clips
    return (q * clips).T


@pytest.mark.parametrize("rounds", [1, 3, 50])
@pytest.mark.parametrize("size", [(6, 4), (3, 9)])
def test_assignments_are_those_of_sinkhorn_and_knopp(size: tuple[int, int], rounds: int) -> None:
    scores = torch.randn(size, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    found = balanced(scores, 2.0, rounds)
    np.testing.assert_allclose(found, sinkhorn_knopp(numbers(scores), 0.5, rounds), rtol=1e-9)
    np.testing.assert_allclose(found.sum(1), 1)
    if rounds == 50:
        np.testing.assert_allclose(found.sum(0), size[0] / size[1], rtol=1e-4)


def test_assignments_stay_finite_where_exponentials_overflow() -> None:
    found = balanced(torch.tensor([[900.0, 0.0], [900.0, 1.0], [0.0, 900.0]]), 20.0, 50)
    assert torch.isfinite(found).all()
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-6)


@reference("rho_swav")
@pytest.mark.parametrize("rho", [2, 3])
def test_swav_predicts_the_other_crops_balanced_clusters(rho: int) -> None:
    term = build("rgb.rho_swav", rho=rho, epsilon=0.1, iterations=4, temperature=0.3)
    inputs = given(term)
    assert term.encoded == tuple(View("rgb", f"crop{number}") for number in range(1, rho + 1))
    term.prototypes.data *= 3
    z = [lines(term.head(pooled(inputs.features[view]))) for view in term.encoded]
    scores = [x @ lines(term.prototypes).T for x in z]
    codes = [sinkhorn_knopp(score, 0.1, 4) for score in scores]
    predicted = [log_softmax(score / 0.3, axis=1) for score in scores]
    pairs = itertools.permutations(range(rho), 2)
    losses = [-sum(codes[b][i] * predicted[a][i]) for a, b in pairs for i in range(6)]
    assert term(inputs).item() == pytest.approx(np.mean(losses), rel=1e-9)
    check_agreement(term.outcome(inputs), scores[0].argmax(1).tolist(), codes[1].argmax(1).tolist())


def test_the_assignments_of_swav_have_no_gradient() -> None:
    term = build("rgb.rho_swav")
    inputs = given(term)
    leaf = inputs.features[View("rgb", "crop1")].layers[3]
    scores = [lines(term.head(pooled(inputs.features[view]))) @ lines(term.prototypes).T for view in term.encoded]
    unit = torch.nn.functional.normalize
    ours = unit(term.head(pooled(inputs.features[term.encoded[0]])), dim=1) @ unit(term.prototypes, dim=1).T
    codes = torch.tensor(sinkhorn_knopp(scores[1], 0.05, 3))
    alone = -(codes * torch.log_softmax(ours / 0.1, 1)).sum(1).mean() / 2
    wanted, found = (torch.autograd.grad(loss, leaf, retain_graph=True)[0] for loss in (alone, term(inputs)))
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-12)


@reference("sela")
@pytest.mark.parametrize("memory", [9, 100])
def test_sela_learns_the_other_crops_labels_balanced_with_earlier_clips(memory: int) -> None:
    term = build("rgb.sela", memory=memory, sharpness=5.0, iterations=30)
    views = (View("rgb", "crop1"), View("rgb", "crop2"))
    assert term.encoded == views

    def scores(number: int) -> list[np.ndarray]:
        inputs = given(term, number=number)
        return [numbers(pooled(inputs.features[view])) @ weight.T + bias for view in views]

    weight, bias = numbers(term.head.weight), numbers(term.head.bias)
    kept: list[np.ndarray] = []
    for number in (7, 8):
        term.remember(given(term, number=number))
        kept += [*log_softmax(scores(number)[0], axis=1)]
    inputs, both, labels = given(term), scores(0), []
    for score in both:
        together = np.array([*log_softmax(score, axis=1), *kept[-memory:]])
        labels.append(sinkhorn_knopp(together, 1 / 5, 30)[:6].argmax(1))
    assert any(tuple(label) != tuple(score.argmax(1)) for label, score in zip(labels, both))
    expected = (cross_entropy(both[0], labels[1]) + cross_entropy(both[1], labels[0])) / 2
    assert term(inputs).item() == pytest.approx(expected, rel=1e-9)
    check_agreement(term.outcome(inputs), both[0].argmax(1).tolist(), labels[1].tolist())


def test_the_part_that_two_boxes_share() -> None:
    one = torch.tensor([[0.1, 0.2, 0.5, 0.6], [0.0, 0.0, 0.3, 0.3], [0.0, 0.0, 1.0, 1.0]])
    two = torch.tensor([[0.4, 0.0, 0.6, 0.5], [0.5, 0.1, 0.5, 0.5], [0.2, 0.3, 0.4, 0.5]])
    found = common_part(one, two)
    np.testing.assert_allclose(found[0], [0.4, 0.2, 0.2, 0.3], rtol=1e-6)
    np.testing.assert_allclose(found[1, 2:], [0.0, 0.2], rtol=1e-6)
    np.testing.assert_allclose(found[2], two[2], rtol=1e-6)


def test_boxes_lie_inside_and_are_at_least_three_tenths_as_long() -> None:
    outer = torch.tensor([[0.2, 0.4, 0.5, 0.2], [0.0, 0.0, 1.0, 1.0]], dtype=torch.float64)
    drawn = torch.rand(2, 500, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    drawn[:, 0], drawn[:, 1] = 0, 1
    for (left, top, width, height), boxes in zip(outer.tolist(), inner_boxes(outer, drawn), strict=True):
        assert boxes[0].tolist() == pytest.approx([left, top, 0.3 * width, 0.3 * height])
        assert boxes[1].tolist() == pytest.approx([left, top, width, height])
        for x, y, w, h in boxes.tolist():
            assert left - 1e-9 <= x <= x + w <= left + width + 1e-9
            assert top - 1e-9 <= y <= y + h <= top + height + 1e-9
            assert 0.3 * width - 1e-9 <= w
            assert 0.3 * height - 1e-9 <= h


def test_a_box_seen_from_a_crop_shows_the_same_part_of_the_window() -> None:
    """A window whose values are its own coordinates is cropped and mirrored as in training."""
    size, clips = 64, 12
    ramp = (torch.arange(size, dtype=torch.float64) + 0.5) / size
    window = torch.stack([ramp.expand(size, size), ramp[:, None].expand(size, size)])[None, :, None]
    draws = Draws(torch.Generator().manual_seed(2), clips, torch.arange(clips), torch.device("cpu"))
    # Three channels would have their colours changed, two be taken for flow.
    window = torch.cat([window, window], 1).repeat(clips, 1, 1, 1, 1)
    shown, crop = TRANSFORMS["zoom1"].change(window, draws)
    crop = crop.double()
    assert {0.0, 1.0} == set(crop[:, 4].tolist())
    middle = (crop[:, :2] + crop[:, 2:4] * torch.tensor([0.3, 0.7]))[:, None]
    box = torch.cat([middle - 0.05, torch.full_like(middle, 0.1)], 2)
    found = pooled_regions(shown, seen_from(box, crop))
    np.testing.assert_allclose(found[:, :2], middle[:, 0], atol=2e-3)


@pytest.mark.parametrize("size", [(5, 5), (4, 7)])
def test_a_region_of_a_linear_ramp_is_its_value_in_the_middle(size: tuple[int, int]) -> None:
    height, width = size
    y, x = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) + 0.5 for n in size), indexing="ij")
    ramps = torch.stack([3 * x + 1, -2 * y, x + y])[None, :, None].repeat(2, 1, 3, 1, 1)
    boxes = torch.tensor([[[0.2, 0.3, 0.35, 0.1], [0.25, 0.25, 0.5, 0.5]]], dtype=torch.float64).repeat(2, 1, 1)
    found = pooled_regions(ramps, boxes)
    for box, values in zip(boxes.flatten(0, 1).tolist(), found, strict=True):
        across, down = (box[0] + box[2] / 2) * width, (box[1] + box[3] / 2) * height
        assert values.tolist() == pytest.approx([3 * across + 1, -2 * down, across + down])


def region(picture: np.ndarray, box: np.ndarray) -> np.ndarray:
    """RoIAlign (He et al. 2017) to one place: bilinear samples on a grid no wider than a pixel, averaged.

    Args:
        picture: (C, h, w), pixel (i, j) being the square from (i, j) to (i + 1, j + 1).
        box: left, top, width, height as shares of the picture.
    """
    channels, height, width = picture.shape
    left, top, wide, high = box * [width, height, width, height]
    across, down = math.ceil(wide), math.ceil(high)
    samples = []
    for row, column in itertools.product(range(down), range(across)):
        y = min(max(top + (row + 0.5) * high / down - 0.5, 0), height - 1)
        x = min(max(left + (column + 0.5) * wide / across - 0.5, 0), width - 1)
        i, j = min(int(y), height - 2), min(int(x), width - 2)
        v, u = y - i, x - j
        upper = (1 - u) * picture[:, i, j] + u * picture[:, i, j + 1]
        lower = (1 - u) * picture[:, i + 1, j] + u * picture[:, i + 1, j + 1]
        samples.append((1 - v) * upper + v * lower)
    return np.mean(samples, 0).reshape(channels)


def boxes_by_hand(crops: list[np.ndarray], drawn: np.ndarray) -> list[list[np.ndarray]]:
    """Per crop the boxes as shares of it, from those of the window: corners are moved, and mirrored one by one."""
    low = np.maximum(crops[0][:2], crops[1][:2])
    high = np.minimum(crops[0][:2] + crops[0][2:4], crops[1][:2] + crops[1][2:4])
    found: list[list[np.ndarray]] = [[], []]
    if (high - low).min() <= 0.1:
        return found
    for number in drawn:
        size = (0.3 + 0.7 * number[2:]) * (high - low)
        start = low + number[:2] * (high - low - size)
        for crop, boxes in zip(crops, found, strict=True):
            (x1, y1), (x2, y2) = ((corner - crop[:2]) / crop[2:4] for corner in (start, start + size))
            if crop[4]:
                x1, x2 = 1 - x2, 1 - x1
            boxes.append(np.array([x1, y1, x2 - x1, y2 - y1]))
    return found


@reference("scrl")
@pytest.mark.parametrize("mine", [(0, 1, 2, 3, 4, 5), (0, 3, 4)])
def test_scrl_is_the_negative_cosine_of_the_same_boxes_of_both_crops(mine: tuple[int, ...]) -> None:
    """The crops of the third clip at hand share too little. A process draws the whole batch's boxes for its clips."""
    term = build("rgb.scrl", boxes=4)
    inputs = given(term, mine=mine)
    assert term.encoded == tuple(key.view for key in term.keys) == ZOOMS
    inputs.labels[ZOOMS[0]][2, :4] = torch.tensor([0.0, 0.0, 0.5, 0.9], dtype=torch.float64)
    inputs.labels[ZOOMS[1]][2, :4] = torch.tensor([0.41, 0.1, 0.5, 0.9], dtype=torch.float64)
    drawn = numbers(inputs.draws("scrl").uniform(4, 4))
    online: list[list[np.ndarray]] = [[], []]
    target: list[list[np.ndarray]] = [[], []]
    videos: list[int] = []
    for i, clip in enumerate(mine):
        crops = [numbers(inputs.labels[view][i]) for view in ZOOMS]
        videos += [VIDEOS[clip]] * (0 if i == 2 else 4)
        for side, boxes in enumerate(boxes_by_hand(crops, drawn[clip])):
            for box in boxes:
                key = term.keys[side]
                online[side].append(region(numbers(inputs.features[ZOOMS[side]].layers[3][i].mean(1)), box))
                target[side].append(region(numbers(inputs.keys[key].layers[3][i].mean(1)), box))
    assert len(online[0]) == 4 * (len(mine) - 1)
    p = [lines(term.predictor(term.head.online(torch.tensor(np.array(side))))) for side in online]
    z = [lines(term.head.target(torch.tensor(np.array(side)))) for side in target]
    expected = -np.mean([(p[0][i] @ z[1][i] + p[1][i] @ z[0][i]) / 2 for i in range(len(p[0]))])
    value = term(inputs)
    assert value.item() == pytest.approx(expected, rel=1e-6)
    # Its own region against the same boxes of the other videos: else where a box lies would tell it.
    kept = [i for i in range(len(mine)) if i != 2]
    second = numbers(inputs.keys[term.keys[1]].layers[3].mean(2))
    asked = [
        (i, box)
        for i in kept
        for box in boxes_by_hand([numbers(inputs.labels[view][i]) for view in ZOOMS], drawn[mine[i]])[1]
    ]
    everywhere = np.array([region(second[j], box) for _, box in asked for j in kept])
    there = lines(term.head.target(torch.tensor(everywhere))).reshape(len(asked), len(kept), -1)
    outcome = term.outcome(inputs)
    for number, (i, _) in enumerate(asked):
        allowed = [j == i or VIDEOS[mine[j]] != VIDEOS[mine[i]] for j in kept]
        nearest = kept[np.argmax(np.where(allowed, there[number] @ p[0][number], -np.inf))]
        assert outcome.values[number].item() == float(nearest == i)
        assert outcome.trivial[number].item() == pytest.approx(1 / sum(allowed))
    assert len(outcome.values) == len(asked) == 4 * len(kept)
    value.backward()
    assert all(layer.grad is None for found in inputs.keys.values() for layer in found.layers)


def test_scrl_has_nothing_to_compare_where_no_crops_overlap() -> None:
    term = build("rgb.scrl")
    inputs = given(term)

    def corner(left: float) -> Tensor:
        return torch.tensor([left, left, 0.5, 0.5, 0.0], dtype=torch.float64).expand(6, 5)

    inputs.labels.update({ZOOMS[0]: corner(0.0), ZOOMS[1]: corner(0.5)})  # type: ignore[attr-defined]
    assert term(inputs) is None
    assert term.outcome(inputs) is None
