"""Terms of pixels."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import softmax
from scipy.stats import norm

from pipeline_src.batches.views import View
from pipeline_src.tasks.masked import MaskedTerm
from tests.unit.tasks.inputs import (
    FRAMES,
    SHAPES,
    Rows,
    build,
    check_errors,
    given,
    lines,
    numbers,
    reference,
    shrunk,
)

STILLS = View("rgb", "frames")


@reference("slow_sparse")
def test_slow_sparse_is_the_error_of_frames_and_the_size_and_change_of_features() -> None:
    term = build("rgb.slow_sparse", slow=0.3, sparse=0.2)
    assert term.encoded == term.targets == (STILLS,)
    inputs = given(term)
    activations = inputs.features[STILLS].layers[3]
    painted, wanted = numbers(term.decoder(activations)), shrunk(inputs.targets[STILLS], (1, 4, 4))
    z = numbers(activations).reshape(6, FRAMES, -1)
    expected = np.square(painted - wanted).mean() + 0.2 * np.abs(z).mean()
    expected += 0.3 * np.mean([np.abs(clip[t + 1] - clip[t]).mean() for clip in z for t in range(FRAMES - 1)])
    assert term(inputs).item() == pytest.approx(expected, rel=1e-9)
    # Judged by clips: frames of one are alike, and would make the mean's error look smaller than it is.
    by_clip = (x.reshape(6, FRAMES, *x.shape[1:]) for x in (painted, wanted))
    check_errors(term.outcome(inputs), *by_clip)


def colours_of(clip: np.ndarray) -> np.ndarray:
    """(T, h, w) of a clip (3, T, h, w): quarters of both axes of colour, in units of their deviation in the clip."""
    red, green, blue = clip
    quarters = []
    for axis in (red - green, blue - (red + green) / 2):
        scaled = (axis - axis.mean()) / axis.std(ddof=1)
        quarters.append(sum((scaled > norm.ppf(share)).astype(int) for share in (0.25, 0.5, 0.75)))
    return 4 * quarters[0] + quarters[1]


@reference("track_colours")
@pytest.mark.parametrize(("references", "first"), [(1, 1), (2, 0), (16, 0)])
def test_tracking_copies_colours_from_earlier_steps_by_attention(references: int, first: int) -> None:
    term = build("grey>rgb.track_colours", references=references, temperature=0.3)
    assert (term.encoded, term.targets) == ((View("grey"),), (View("rgb"),))
    inputs = given(term)
    activations = inputs.features[View("grey")].layers[1]
    pictures = shrunk(inputs.targets[View("rgb")], (3, 4, 4))
    losses, right, common = [], [], []
    for clip, picture in zip(activations, pictures, strict=True):
        z = lines(term.head(clip.permute(1, 2, 3, 0)))
        colours = colours_of(picture)
        earlier = list(itertools.product(range(first, 2), range(4), range(4)))
        frequent = np.bincount([colours[place] for place in earlier]).argmax()
        for y, x in itertools.product(range(4), range(4)):
            attention = softmax([z[2, y, x] @ z[place] / 0.3 for place in earlier])
            shares = [sum(a for a, place in zip(attention, earlier) if colours[place] == c) for c in range(16)]
            losses.append(-np.log((shares[colours[2, y, x]] + 0.001) / 1.001))
            right.append(np.argmax(shares) == colours[2, y, x])
            common.append(colours[2, y, x] == frequent)
    assert term(inputs).item() == pytest.approx(np.mean(losses), rel=1e-9)
    outcome = term.outcome(inputs)
    np.testing.assert_allclose(outcome.values, np.reshape(right, (6, 16)).mean(1), rtol=1e-6)
    np.testing.assert_allclose(outcome.trivial, np.reshape(common, (6, 16)).mean(1), rtol=1e-6)


@pytest.mark.parametrize(("last", "loss"), [(0.0, 0.0), (3.0, math.log(1001))])
def test_tracking_costs_nothing_where_all_is_of_one_colour_and_is_bounded(last: float, loss: float) -> None:
    """Red turns up in the last of three time steps, and is nowhere to be copied from."""
    term = build("grey>rgb.track_colours")
    inputs = given(term)
    clips = torch.zeros_like(inputs.targets[View("rgb")])
    clips[:, 0, 4:] = last
    inputs = replace(inputs, targets={View("rgb"): clips})
    assert term(inputs).item() == pytest.approx(loss, abs=1e-9)
    # Who copies anything at all copies right, or wrong, as often as who never looks.
    outcome = term.outcome(inputs)
    assert outcome.values.tolist() == outcome.trivial.tolist() == [float(last == 0)] * 6


def test_tracking_needs_an_earlier_step() -> None:
    shapes = replace(SHAPES, places={**SHAPES.places, "grey": (1, 3, 3)})
    term = build("grey>rgb.track_colours", shapes, layer=4)
    inputs = given(term, shapes=shapes)
    assert term(inputs) is None
    assert term.outcome(inputs) is None


@reference("denoise")
def test_denoising_is_the_mean_squared_error_to_the_clean_clip() -> None:
    term = build("rgb.denoise", deviation=0.7)
    noisy = View("rgb", "noisy", (0.7,))
    assert (term.encoded, term.targets) == ((noisy,), (View("rgb"),))
    inputs = given(term)
    guess = numbers(term.decoder(inputs.features[noisy].layers[3]))
    wanted = shrunk(inputs.targets[View("rgb")], (FRAMES, 4, 4))
    assert term(inputs).item() == pytest.approx(np.square(guess - wanted).mean(), rel=1e-9)
    check_errors(term.outcome(inputs), guess, wanted)


@reference("masked")
def test_masked_clips_are_compared_where_they_were_hidden() -> None:
    """A painted place stands for nine pixels and counts by how many of them were hidden; every clip counts alike."""
    term = build("rgb.masked", share=0.6, patch=2)
    masked = View("rgb", "masked", (0.6, 2.0))
    assert (term.encoded, term.targets) == ((masked,), (View("rgb"),))
    inputs = given(term)
    guess = numbers(term.decoder(inputs.features[masked].layers[3]))
    wanted = shrunk(inputs.targets[View("rgb")], (FRAMES, 4, 4))
    hidden = numbers(inputs.labels[masked])[:, 0]

    def errors(guesses: np.ndarray) -> list[float]:
        found = []
        for clip, truth, mask in zip(guesses, wanted, hidden, strict=True):
            weighted = [
                (
                    mask[y // 3 * 3 : y // 3 * 3 + 3, x // 3 * 3 : x // 3 * 3 + 3].mean(),
                    ((clip - truth)[:, :, y // 3, x // 3] ** 2).mean(),
                )
                for y, x in itertools.product(range(0, 12, 3), range(0, 12, 3))
            ]
            found.append(sum(w * e for w, e in weighted) / sum(w for w, _ in weighted))
        return found

    assert term(inputs).item() == pytest.approx(np.mean(errors(guess)), rel=1e-9)
    outcome = term.outcome(inputs)
    assert outcome.error
    np.testing.assert_allclose(numbers(outcome.values), errors(guess), rtol=1e-9)
    np.testing.assert_allclose(
        numbers(outcome.trivial), np.multiply(errors(np.stack([wanted.mean(0)] * 6)), 6 / 5), rtol=1e-9
    )


def test_a_single_masked_clip_is_its_own_mean_picture_and_not_judged() -> None:
    term = build("rgb.masked")
    assert term.outcome(given(term, videos=(3,))) is None
    assert torch.isfinite(term(given(term, videos=(3,))))


def test_places_that_were_seen_do_not_count() -> None:
    term: MaskedTerm = build("rgb.masked")
    (view,) = term.encoded
    inputs = given(term)
    mask = torch.zeros(6, 1, 12, 12, dtype=torch.float64)
    mask[:, :, 3:9, :6] = 1
    inputs.labels[view][:] = mask
    value = term(inputs).item()
    changed = inputs.targets[View("rgb")] + 5 * (1 - mask[:, :, None])
    assert term(replace(inputs, targets={View("rgb"): changed})).item() == pytest.approx(value, rel=1e-12)
    hidden = inputs.targets[View("rgb")] + 5 * mask[:, :, None]
    assert term(replace(inputs, targets={View("rgb"): hidden})).item() > 2 * value


def halved(pictures: np.ndarray) -> np.ndarray:
    """Means of squares of four pixels; an odd last row or column is left out."""
    height, width = (size // 2 for size in pictures.shape[3:])
    return np.array(
        [
            [pictures[..., 2 * y : 2 * y + 2, 2 * x : 2 * x + 2].mean((3, 4)) for x in range(width)]
            for y in range(height)
        ]
    ).transpose(2, 3, 4, 0, 1)


def gradient_difference(x: np.ndarray, y: np.ndarray, weight: float, scales: int) -> list[float]:
    """Of each clip of (N, C, T, H, W); Mathieu et al. 2016, with means in the place of sums."""
    losses: list[list[float]] = [[] for _ in x]
    for scale in range(scales):
        if scale and min(x.shape[3:]) < 2:
            break
        if scale:
            x, y = halved(x), halved(y)
        for found, one, two in zip(losses, x, y, strict=True):
            loss = np.abs(two - one).mean()
            height, width = one.shape[2:]
            if height > 1:
                edges = [np.abs(clip[:, :, 1:] - clip[:, :, :-1]) for clip in (one, two)]
                loss += weight * np.abs(edges[1] - edges[0]).mean()
            if width > 1:
                edges = [np.abs(clip[:, :, :, 1:] - clip[:, :, :, :-1]) for clip in (one, two)]
                loss += weight * np.abs(edges[1] - edges[0]).mean()
            found.append(float(loss))
    return [sum(found) / len(found) for found in losses]


@reference("gradient_difference")
@pytest.mark.parametrize(("stride", "size"), [(3, 4), (4, 3), (2, 6), (12, 1)])
@pytest.mark.parametrize("scales", [1, 2, 3, 6])
def test_gradient_difference_is_the_error_of_pixels_and_of_edges_at_all_sizes(
    scales: int, stride: int, size: int
) -> None:
    """4, 2 and 1 pixels wide, or 3 and 1, or 6, 3 and 1; one pixel has no edges, and no half."""
    shapes = replace(SHAPES, stride=stride)
    term = build("rgb.gradient_difference", shapes, gradient=0.4, scales=scales)
    future = View("rgb", "next")
    assert (term.encoded, term.targets) == ((View("rgb"),), (future,))
    inputs = given(term, shapes=shapes, unusable={"next": (1, 4)})
    rows = [0, 2, 3, 5]
    painted = numbers(term.decoder(inputs.features[View("rgb")].layers[3][rows]))
    wanted = shrunk(inputs.targets[future][rows], (2, size, size))
    assert painted.shape == wanted.shape
    expected = gradient_difference(painted, wanted, 0.4, scales)
    assert term(inputs).item() == pytest.approx(np.mean(expected), rel=1e-9)
    outcome = term.outcome(inputs)
    assert outcome.error
    assert outcome.values.tolist() == pytest.approx(expected, rel=1e-9)
    mean = np.stack([sum(wanted) / 4] * 4)
    assert outcome.trivial.tolist() == pytest.approx(gradient_difference(mean, wanted, 0.4, scales), rel=1e-9)


def test_gradient_difference_of_pictures_of_a_single_pixel_is_their_error() -> None:
    """Pictures are as small where `decoder_stride` is as large as half of `crop` is not."""
    shapes = replace(SHAPES, stride=12)
    term = build("rgb.gradient_difference", shapes)
    inputs = given(term, shapes=shapes)
    painted = term.decoder(inputs.features[View("rgb")].layers[3])
    wanted = shrunk(inputs.targets[View("rgb", "next")], (2, 1, 1))
    assert term(inputs).item() == pytest.approx(np.abs(numbers(painted) - wanted).mean(), rel=1e-9)


def test_gradient_difference_of_a_few_pixels_by_hand() -> None:
    """0 1 against 2 5: pixels are off by 2 and 4, edges are 1 and 3 across and 0 down; halves are off by 3."""
    term = build("rgb.gradient_difference", gradient=0.5, scales=2)
    one, two = (torch.tensor([[row, row]]).expand(1, 3, 2, 2, 2) for row in ([0.0, 1.0], [2.0, 5.0]))
    term.pictures = lambda _: (one, two)
    assert term(None).item() == pytest.approx(((3 + 0.5 * 2) + 3) / 2)


@pytest.mark.parametrize(("left", "terms"), [((3,), 1), ((), 0)])
def test_gradient_difference_is_not_judged_by_fewer_than_two_clips(left: Rows, terms: int) -> None:
    term = build("rgb.gradient_difference")
    inputs = given(term, unusable={"next": sorted(set(range(6)) - set(left))})
    assert term.outcome(inputs) is None
    assert (term(inputs) is not None) == (terms > 0)
