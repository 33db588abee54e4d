"""The controls of `make learn` take away what they say, and every task has one."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from pipeline_src.batches.draws import generator
from pipeline_src.settings import catalogue
from tests.benchmarks.learn.controls import BY_FAMILY, blank, displaced, frozen, mislabelled, mismatched
from tests.unit.tasks.inputs import build, given


def test_every_task_family_has_a_control() -> None:
    assert set(BY_FAMILY) == set(catalogue.names("task"))


def batch() -> dict[str, torch.Tensor]:
    random = generator(0)
    stored = torch.randint(256, (4, 6, 8, 8, 3), generator=random, dtype=torch.uint8)
    return {"rgb.now": stored, "flow.now": stored[..., :2], "clip": torch.arange(4), "class": torch.arange(4)}


def test_blank_pictures_keep_their_mean_colour_alone() -> None:
    made = blank(batch())
    assert made["rgb.now"].flatten(1, 3).unique(dim=1).shape[1] == 1
    mean = batch()["rgb.now"].float().mean((1, 2, 3))
    assert (made["rgb.now"][:, 0, 0, 0].float() - mean).abs().max() <= 0.5
    assert torch.equal(made["flow.now"], batch()["flow.now"])


def test_frozen_views_show_their_first_picture() -> None:
    made = frozen(batch())
    assert all(torch.equal(made["rgb.now"][:, t], batch()["rgb.now"][:, 0]) for t in range(6))


def test_dealt_classes_depend_on_the_clip_alone() -> None:
    one, two = mislabelled(batch()), mislabelled({**batch(), "class": torch.zeros(4)})
    assert torch.equal(one["class"], two["class"])


@pytest.mark.parametrize("name", ["flow~rgb.embed", "rgb.simclr", "rgb.moco", "rgb>flow.translate", "rgb.slow_sparse"])
def test_mismatched_views_come_from_other_clips(name: str) -> None:
    term = build(name)
    inputs = given(term)
    moved = mismatched(term, inputs)
    first, *others = term.encoded
    assert torch.equal(moved.features[first].layers[3], inputs.features[first].layers[3])
    parts = [(moved.features[v].layers[3], inputs.features[v].layers[3]) for v in others]
    parts += [(moved.keys[k].layers[3], inputs.keys[k].layers[3]) for k in term.keys]
    parts += [(moved.targets[v], inputs.targets[v]) for v in term.targets]
    assert parts
    clips = len(inputs.videos)
    for there, here in parts:
        there, here = there.unflatten(0, (clips, -1)), here.unflatten(0, (clips, -1))
        places = [[j for j in range(clips) if torch.equal(there[i], here[j])] for i in range(clips)]
        assert sorted(place for (place,) in places) == list(range(clips))
        assert all(place != i for i, (place,) in enumerate(places))


def test_displaced_colours_are_those_of_their_time_step_at_other_places() -> None:
    term = build("grey>rgb.track_colours")
    inputs = given(term)
    here, there = (found.targets[term.targets[0]] for found in (inputs, displaced(term, inputs)))
    here = functional.adaptive_avg_pool3d(here, there.shape[2:]).flatten(3)
    there = there.flatten(3)
    for clip, moved in zip(here, there, strict=True):
        orders = []
        for step in range(clip.shape[1]):
            same = (clip[:, step, :, None] == moved[:, step, None, :]).all(0)
            assert (same.sum(0) == 1).all()
            assert (same.sum(1) == 1).all()
            orders.append(tuple(same.int().argmax(0).tolist()))
        assert len(set(orders)) == len(orders) > 1


def test_views_move_each_by_itself_and_anew_in_every_step() -> None:
    term = build("rgb.rho_simclr", rho=3)
    inputs = given(term)
    here, later = mismatched(term, inputs), mismatched(term, replace(inputs, seed=(0, 99)))
    orders = []
    for found in (here, later):
        for view in term.encoded[1:]:
            whole = inputs.features[view].pooled
            orders.append([int((whole == row).all(1).nonzero()) for row in found.features[view].pooled])
    assert len({tuple(order) for order in orders}) > 2
