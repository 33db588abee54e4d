"""The 48 terms of the paper: pictures, order of time, synchrony, joint spaces, distillation."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from torch import Tensor

from pipeline_src.batches.views import View
from tests.unit.tasks.inputs import (
    SHAPES,
    SOUND,
    VIDEOS,
    Rows,
    binary_cross_entropy,
    build,
    check_accuracy,
    check_errors,
    check_retrieval,
    following,
    given,
    lines,
    numbers,
    pooled,
    reference,
    shrunk,
)

SILENT = (1, 4)
# The next clip is often of the same video, also among those with sound.
NEIGHBOURS = (4, 4, 4, 1, 2, 2)
PICTURES = [
    ("rgb.reconstruct", View("rgb"), View("rgb"), (6, 4, 4)),
    ("grey.reconstruct", View("grey"), View("grey"), (6, 4, 4)),
    ("audio.reconstruct", View("audio"), View("audio"), (4, 2)),
    ("flow.future", View("flow"), View("flow", "next"), (2, 4, 4)),
    ("audio.future", View("audio"), View("audio", "next"), (1, 2)),
    ("rgb>flow.translate", View("rgb"), View("flow"), (6, 4, 4)),
    ("grey>rgb.translate", View("grey"), View("rgb"), (6, 4, 4)),
    ("flow>rgb.translate", View("flow"), View("rgb"), (6, 4, 4)),
    ("rgb>audio.translate", View("rgb"), View("audio"), (4, 2)),
]


def in_time(activations: np.ndarray, steps: int) -> np.ndarray:
    """(N, C, T, ...) to (N, steps, C): means of all places and of the times that a step wholly or partly covers."""
    long = activations.reshape(*activations.shape[:3], -1).mean(3)
    have = long.shape[2]
    bins = [[t for t in range(have) if t < (i + 1) * have / steps and t + 1 > i * have / steps] for i in range(steps)]
    return np.array([[clip[:, times].mean(1) for times in bins] for clip in long])


@reference("reconstruct", "future", "translate")
@pytest.mark.parametrize(("name", "source", "target", "size"), PICTURES)
def test_painting_is_the_mean_squared_error_to_the_shrunken_target(
    name: str, source: View, target: View, size: tuple[int, ...]
) -> None:
    term = build(name)
    assert (term.encoded, term.targets) == ((source,), (target,))
    inputs = given(term)
    activations, truth = inputs.features[source].layers[3], inputs.targets[target]
    if name == "rgb>audio.translate":
        activations = activations[list(SOUND)]
    painted = term.decoder(activations)
    assert painted.shape == (len(truth), truth.shape[1], *size)
    guess, wanted = numbers(painted), shrunk(truth, size)
    errors = [np.mean((guess[i] - wanted[i]) ** 2) for i in range(len(wanted))]
    assert term(inputs).item() == pytest.approx(np.mean(errors), rel=1e-9)
    check_errors(term.outcome(inputs), guess, wanted)


@reference("future")
@pytest.mark.parametrize(
    ("name", "ending", "rows"), [("rgb.future", (1, 4), [0, 2, 3, 5]), ("audio.future", (1, 3, 4), [0, 1, 3])]
)
def test_clips_whose_next_frames_lie_beyond_the_end_are_left_out(
    name: str, ending: tuple[int, ...], rows: list[int]
) -> None:
    """Of the clips 0, 2, 3 and 5 that have sound, the third ends."""
    term = build(name)
    source, target = term.encoded[0], term.targets[0]
    inputs = given(term, unusable={"next": ending})
    guess = numbers(term.decoder(inputs.features[source].layers[3][rows]))
    wanted = shrunk(inputs.targets[target][rows], guess.shape[2:])
    assert term(inputs).item() == pytest.approx(np.square(guess - wanted).mean(), rel=1e-9)
    check_errors(term.outcome(inputs), guess, wanted)
    nothing = given(term, unusable={"next": range(6)})
    assert term(nothing) is None
    assert term.outcome(nothing) is None


def test_a_process_leaves_out_its_own_clips_that_end() -> None:
    term = build("rgb.future")
    inputs = given(term, mine=(3, 4, 5), unusable={"next": (0, 1, 4)})
    guess = numbers(term.decoder(inputs.features[View("rgb")].layers[3][[0, 2]]))
    wanted = shrunk(inputs.targets[View("rgb", "next")][[0, 2]], (2, 4, 4))
    assert term(inputs).item() == pytest.approx(np.square(guess - wanted).mean(), rel=1e-9)


@reference("shuffle", "backward")
@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("rgb.shuffle", View("rgb", "shuffled")),
        ("audio.shuffle", View("audio", "segments", (4,))),
        ("flow.backward", View("flow", "reversed")),
        ("audio.backward", View("audio", "reversed")),
    ],
)
def test_telling_order_is_the_cross_entropy_over_plain_and_changed_clips(name: str, changed: View) -> None:
    term = build(name)
    assert term.encoded == (changed,)
    inputs = given(term, number=1)
    logits = numbers(term.head(pooled(inputs.features[changed]))[:, 0])
    truth = inputs.labels[changed].tolist()
    assert len(logits) == len(truth) == (4 if changed.modality == "audio" else 6)
    assert set(truth) == {0, 1}
    assert term(inputs).item() == pytest.approx(binary_cross_entropy(logits, truth), rel=1e-9)
    check_accuracy(term.outcome(inputs), [(x > 0) == y for x, y in zip(logits, truth)], 0.5)


@reference("align")
@pytest.mark.parametrize("videos", [VIDEOS, NEIGHBOURS])
@pytest.mark.parametrize("negatives", ["shifted", "other", "both"])
@pytest.mark.parametrize("name", ["audio~rgb.align", "audio~flow.align", "flow~rgb.align", "grey~rgb.align"])
def test_alignment_is_the_cross_entropy_of_matching_against_mismatched_pairs(
    name: str, negatives: str, videos: Rows
) -> None:
    """Clips 1 and 3, too short to be shifted, meet the next clip of another video instead."""
    term = build(name, negatives=negatives)
    first, second = name.removesuffix(".align").split("~")
    shifted = View(first, "shifted")
    assert term.encoded == (View(first), View(second), shifted)[: 2 if negatives == "other" else 3]
    inputs = given(term, videos=videos, unusable={"shifted": (1, 3)})
    clips = list(SOUND) if first == "audio" else list(range(6))
    moved, fixed = pooled(inputs.features[View(first)]), pooled(inputs.features[View(second)])[clips]

    def logits(part: Tensor) -> np.ndarray:
        return numbers(term.head(torch.cat([term.project_first(part), term.project_second(fixed)], 1))[:, 0])

    other = moved[following([videos[clip] for clip in clips])]
    wrong = []
    if negatives != "shifted":
        wrong.append(logits(other))
    if negatives != "other":
        there = pooled(inputs.features[shifted])
        wrong.append(
            logits(torch.stack([other[i] if clip in (1, 3) else there[i] for i, clip in enumerate(clips)])),
        )
    together, count = logits(moved), len(clips)
    expected = binary_cross_entropy(together, [1] * count) / 2
    expected += sum(binary_cross_entropy(apart, [0] * count) for apart in wrong) / len(wrong) / 2
    assert term(inputs).item() == pytest.approx(expected, rel=1e-9)
    turns = [wrong[i % len(wrong)][i] < 0 for i in range(count)]
    check_accuracy(term.outcome(inputs), [*(together > 0), *turns], 0.5)


@reference("embed")
@pytest.mark.parametrize("videos", [VIDEOS, NEIGHBOURS])
@pytest.mark.parametrize("name", ["flow~rgb.embed", "audio~grey.embed"])
def test_embedding_is_the_max_margin_triplet_loss_over_pairs_of_videos(name: str, videos: Rows) -> None:
    term = build(name, margin=0.3)
    inputs = given(term, videos=videos)
    first, second = (pooled(inputs.features[view]) for view in term.encoded)
    a, b = lines(term.project_first(first)), lines(term.project_second(second))
    if name.startswith("audio"):
        b, videos = b[list(SOUND)], [videos[clip] for clip in SOUND]
    apart = cdist(a, b, "sqeuclidean")
    triplets = []
    for i, j in itertools.product(range(len(a)), repeat=2):
        if videos[i] != videos[j]:
            triplets += [max(0, 0.3 + apart[i, i] - apart[i, j]), max(0, 0.3 + apart[i, i] - apart[j, i])]
    assert 0 < sum(triplet == 0 for triplet in triplets) < len(triplets)
    assert term(inputs).item() == pytest.approx(np.mean(triplets), rel=1e-9)
    check_retrieval(term.outcome(inputs), a, b, videos)


@pytest.mark.parametrize(
    ("name", "videos", "sound"),
    [
        ("flow~rgb.embed", (4, 4, 4), ()),
        ("flow~rgb.embed", (4,), ()),
        ("audio~grey.embed", (4, 2, 4), (0, 2)),
        ("audio~grey.embed", (4, 2), (1,)),
    ],
)
def test_embedding_needs_two_videos(name: str, videos: Rows, sound: Rows) -> None:
    """Of sound, two that have any."""
    term = build(name)
    assert term(given(term, videos=videos, sound=sound)) is None


@reference("distill")
@pytest.mark.parametrize("place", ["layer1", "layer2", "layer3", "layer4", "embedding"])
@pytest.mark.parametrize("teacher", ["flow", "grey", "audio"])
def test_distillation_is_the_squared_difference_and_leaves_the_teacher_alone(teacher: str, place: str) -> None:
    term = build(f"distill.{teacher}.{place}")
    inputs = given(term)
    layer = {"layer1": 0, "layer2": 1, "layer3": 2}.get(place, 3)
    ours, theirs = (inputs.features[View(modality)].layers[layer] for modality in ("rgb", teacher))
    student, wanted = numbers(ours), numbers(theirs)
    if teacher == "audio":
        student = student[list(SOUND)]
    if place == "embedding":
        student, wanted = (x.reshape(*x.shape[:2], -1).mean(2) for x in (student, wanted))
    elif teacher == "audio":
        assert student.shape[2] < wanted.shape[2]
        student, wanted = (in_time(x, student.shape[2]) for x in (student, wanted))
    if teacher == "audio":
        student = student @ numbers(term.adapt.weight).T + numbers(term.adapt.bias)
    value = term(inputs)
    assert value.item() == pytest.approx(np.mean([np.square(s - w).mean() for s, w in zip(student, wanted)]), rel=1e-9)
    check_errors(term.outcome(inputs), student, wanted)
    value.backward()
    assert theirs.grad is None
    np.testing.assert_array_equal(ours.grad[list(SILENT)] != 0, teacher != "audio")
    assert (ours.grad[list(SOUND)] != 0).all()


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_sound_and_pictures_are_compared_at_as_many_times_as_the_coarser_has(steps: int) -> None:
    """Pictures have two time steps; steps that do not divide evenly overlap."""
    shapes = replace(SHAPES, places={**SHAPES.places, "audio": (steps, 2)})
    term = build("distill.audio.layer4", shapes)
    inputs = given(term, shapes=shapes)
    common = min(steps, 2)
    pictures, sound = (numbers(inputs.features[View(modality)].layers[3]) for modality in ("rgb", "audio"))
    assert (pictures.shape[2], sound.shape[2]) == (2, steps)
    seen, wanted = in_time(pictures[list(SOUND)], common), in_time(sound, common)
    student = np.array([[numbers(term.adapt.weight) @ x for x in clip] for clip in seen]) + numbers(term.adapt.bias)
    assert wanted.shape == student.shape == (4, common, 8)
    assert term(inputs).item() == pytest.approx(np.square(student - wanted).mean(), rel=1e-9)
    check_errors(term.outcome(inputs), student, wanted)


@pytest.mark.parametrize("teacher", ["flow", "audio"])
def test_distillation_can_pull_both_networks(teacher: str) -> None:
    term = build(f"distill.{teacher}.layer2", into_rgb_only=False)
    inputs = given(term)
    term(inputs).backward()
    for modality in ("rgb", teacher):
        assert inputs.features[View(modality)].layers[1].grad.abs().sum() > 0
