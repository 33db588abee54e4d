"""Terms that match a clip with a still of its video, and with its coming motion."""

import itertools

import numpy as np
import pytest
import torch

from pipeline_src.batches.views import View
from pipeline_src.tasks.term import Inputs
from tests.unit.tasks.inputs import (
    VIDEOS,
    Rows,
    build,
    check_retrieval,
    contrast,
    given,
    lines,
    pooled,
    reference,
    taken,
)

MOTION = View("flow", "next")


@reference("decoupling")
def test_context_is_info_nce_of_clips_and_stills_both_ways() -> None:
    term = build("rgb.decoupled_context", temperature=0.2)
    inputs = given(term)
    clip = lines(term.clip_head(pooled(inputs.features[View("rgb")])))
    still = lines(term.still_head(pooled(inputs.features[View("rgb", "keyframe")])))
    losses = []
    for one, two in ((clip, still), (still, clip)):
        for i in range(6):
            below = [two[j] for j in range(6) if VIDEOS[j] != VIDEOS[i]]
            losses.append(contrast(one[i], [two[i]], below, 0.2))
    assert term(inputs).item() == pytest.approx(np.mean(losses), rel=1e-9)
    check_retrieval(term.outcome(inputs), clip, still, VIDEOS)


def predicted_and_seen(term: object, inputs: Inputs, rows: Rows) -> list[np.ndarray]:
    """(clips, places, size) each, of length 1; places row by row, averaged over time."""
    found = []
    for view, head in ((View("rgb"), term.predictor), (MOTION, term.motion_head)):  # type: ignore[attr-defined]
        activations = inputs.features[view].layers[3][list(rows)].mean(2)
        places = [activations[:, :, y, x] for y, x in itertools.product(range(3), range(3))]
        found.append(np.stack([lines(head(place)) for place in places], 1))
    return found


@reference("decoupling")
@pytest.mark.parametrize("videos", [VIDEOS, (4, 4, 4, 2, 2, 2), (0, 1, 2, 3, 4, 5)])
def test_motion_is_info_nce_among_the_places_of_the_clip_and_of_other_videos(videos: Rows) -> None:
    """Another clip of the same video may go on alike, wherever in the picture."""
    term = build("rgb>flow.decoupled_motion", temperature=0.2)
    inputs = given(term, videos=videos, unusable={"next": (1, 4)})
    rows = [0, 2, 3, 5]
    predicted, seen = predicted_and_seen(term, inputs, rows)
    losses = []
    for i, place in itertools.product(range(4), range(9)):
        below = []
        for j, other in itertools.product(range(4), range(9)):
            if (i == j and place != other) or videos[rows[i]] != videos[rows[j]]:
                below.append(seen[j, other])
        losses.append(contrast(predicted[i, place], [seen[i, place]], below, 0.2))
    assert term(inputs).item() == pytest.approx(np.mean(losses), rel=1e-9)
    outcome = term.outcome(inputs)
    for i in range(4):
        rivals = [j for j in range(4) if j == i or videos[rows[j]] != videos[rows[i]]]
        right = [rivals[np.argmax([predicted[i, place] @ seen[j, place] for j in rivals])] == i for place in range(9)]
        assert outcome.values[i].item() == pytest.approx(np.mean(right))
        assert outcome.trivial[i].item() == pytest.approx(1 / len(rivals))


def test_motion_of_a_single_video_is_told_from_its_own_clips_other_places() -> None:
    """So that the clips of a batch of one video might as well be alone."""
    term = build("rgb>flow.decoupled_motion")
    inputs = given(term, videos=(4, 4, 4))
    alone = [term(taken(inputs, [clip])).item() for clip in range(3)]
    assert term(inputs).item() == pytest.approx(np.mean(alone), rel=1e-9)
    assert min(alone) > 0


def test_motion_is_not_predicted_where_no_clip_goes_on() -> None:
    term = build("rgb>flow.decoupled_motion")
    nothing = given(term, unusable={"next": range(6)})
    assert term(nothing) is None
    assert term.outcome(nothing) is None
    one = given(term, unusable={"next": (0, 1, 2, 4, 5)})
    assert torch.isfinite(term(one))
