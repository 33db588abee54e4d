"""Probes of time."""

import numpy as np
import pytest

from pipeline_src.settings.transfer import LinearSettings
from pipeline_src.transfer.probes import PROBES, evaluate_probe, examples
from pipeline_src.transfer.split import LabelledVectors

CLIPS = 60
SPLIT = LabelledVectors(
    collection="set",
    split=1,
    vectors=np.zeros((CLIPS, 1)),
    labels=np.full(CLIPS, "any"),
    parts=np.where(np.arange(CLIPS) % 3 == 0, "test", "train"),
    groups=np.array([f"v{number}" for number in range(CLIPS)]),
)
# What each probe asks for, as one number a window.
TELLING = {
    "motion": lambda times: np.stack([np.diff(times, axis=1).mean(1), np.abs(np.diff(times, axis=1)).mean(1)], 1),
    "overlap": lambda times: times[:, :1].astype(float),
    "order": lambda times: times[:, :1].astype(float),
    "speed": lambda times: np.diff(times, axis=1).mean(1)[:, None],
}


def evaluate(probe, embed, lengths=40):
    return evaluate_probe(probe, np.full(CLIPS, lengths), SPLIT, 8, embed, LinearSettings(), 0)


@pytest.mark.parametrize("probe", PROBES)
@pytest.mark.parametrize("length", [8, 15, 16, 29, 40, 200])
@pytest.mark.parametrize("frames", [4, 5, 8])
def test_windows_lie_within_the_clip_and_every_answer_is_asked_once(probe, length, frames):
    found = examples(probe, length, frames, np.random.default_rng(0))
    needed = {"motion": 2 * frames - 1, "overlap": frames + 2 * (frames // 2), "order": 2 * frames}
    assert bool(found) == (length >= needed.get(probe, 4 * (frames - 1) + 1))
    for one in found:
        assert all(len(window) == frames and 0 <= window.min() <= window.max() < length for window in one.windows)
    assert len({one.label for one in found}) == len(found)


def test_windows_are_what_their_labels_say():
    random = np.random.default_rng(1)
    motion = {one.label: np.diff(one.windows[0]).tolist() for one in examples("motion", 30, 6, random)}
    assert motion == {
        "forward": [1] * 5,
        "backward": [-1] * 5,
        "fast": [2] * 5,
        "there and back": [1, 1, 0, -1, -1],
    }
    for one in examples("overlap", 30, 8, random):
        shift = one.windows[1][0] - one.windows[0][0]
        assert shift == {"half earlier": -4, "earlier": -2, "later": 2, "half later": 4}[one.label]
    for one in examples("order", 30, 8, random):
        assert not set(one.windows[0]) & set(one.windows[1])
        assert (one.windows[0][0] < one.windows[1][0]) == (one.label == "first")
    steps = {one.label: np.diff(one.windows[0]).tolist() for one in examples("speed", 30, 5, random)}
    assert steps == {"0.5x": [0, 1, 0, 1], "1x": [1] * 4, "2x": [2] * 4, "4x": [4] * 4}


@pytest.mark.parametrize("probe", PROBES)
def test_an_embedding_that_tells_is_found_and_one_that_does_not_is_at_chance(probe):
    found = evaluate(probe, lambda clips, times: TELLING[probe](times))
    assert found["top1"] > 0.9
    random = np.random.default_rng(0)
    of_clip = random.standard_normal((CLIPS, 4))
    blind = evaluate(probe, lambda clips, times: of_clip[clips])
    # Every clip asks every answer once, and a blind embedding gives them the same.
    assert blind["top1"] == pytest.approx(found["chance"], abs=0.01)
    assert blind["train_examples"] == found["train_examples"] == 40 / found["chance"]
    assert found["test_examples"] == 20 / found["chance"]


def test_speeds_that_were_never_seen_are_scored_in_their_order():
    found = evaluate("speed", lambda clips, times: TELLING["speed"](times))
    assert list(found["scores"]) == ["0.5x", "1x", "2x", "4x"]
    assert list(found["scores"].values()) == sorted(found["scores"].values())
    assert found["rank_correlation"] == pytest.approx(1, abs=0.01)
    constant = evaluate("speed", lambda clips, times: np.ones((len(clips), 2)))
    assert constant["rank_correlation"] == 0


@pytest.mark.parametrize("probe", PROBES)
def test_too_short_clips_and_broken_networks_have_a_defined_outcome(probe):
    short = evaluate(probe, lambda clips, times: pytest.fail("nothing to embed"), lengths=7)
    assert (short["top1"], short["reason"]) == (None, "too few clips are long enough")
    broken = evaluate(probe, lambda clips, times: np.full((len(clips), 2), np.nan))
    assert (broken["top1"], broken["reason"]) == (None, "embeddings are not finite")
