"""Which clip of a batch serves as one that does not belong together: always another video's."""

import itertools
from dataclasses import replace

import pytest
import torch

from pipeline_src.networks.encoder import Features
from pipeline_src.tasks.term import Inputs, embeddings, other_video, videos_of
from tests.unit.tasks.inputs import Rows, build, following, given, taken


@pytest.mark.parametrize("count", range(7))
def test_the_other_clip_is_the_next_one_of_another_video(count: int) -> None:
    for videos in itertools.product((7, 0, 3), repeat=count):
        assert other_video(torch.tensor(videos, dtype=torch.long)).tolist() == following(videos), videos


@pytest.mark.parametrize(
    ("videos", "wanted"),
    [
        ((5, 6, 7), (1, 2, 0)),
        ((7, 7, 2, 2, 7, 5), (2, 2, 4, 4, 5, 0)),
        ((1, 0, 0, 0, 0), (1, 0, 0, 0, 0)),
        ((0, 0, 0, 0, 1), (4, 4, 4, 4, 0)),
        ((4, 4, 4), (1, 2, 0)),
        ((4, 4), (1, 0)),
        ((9,), (0,)),
        ((), ()),
    ],
)
def test_other_clips_of_some_batches(videos: Rows, wanted: Rows) -> None:
    found = other_video(torch.tensor(videos, dtype=torch.long))
    assert found.dtype == torch.long
    assert tuple(found.tolist()) == wanted


def test_the_other_clip_is_never_of_the_same_video_in_a_large_batch() -> None:
    random = torch.Generator().manual_seed(1)
    for distinct in (2, 3, 50):
        videos = torch.randint(distinct, (257,), generator=random)
        found = other_video(videos)
        assert (videos[found] != videos).all()
        assert found.tolist() == following(videos.tolist())


@pytest.mark.parametrize(
    ("rows", "wanted"),
    [
        ((None, None), (9, 8, 7, 8, 5)),
        (((1, 4), None), (8, 5)),
        ((None, (0, 2, 3)), (9, 7, 8)),
        (((2, 3), (2, 3)), (7, 8)),
        (((), None), ()),
    ],
)
def test_videos_of_embeddings_are_those_of_the_clips_that_have_both(
    rows: tuple[Rows | None, Rows | None], wanted: Rows
) -> None:
    """Here of this process, which has the first of two halves of the batch, and of the batch."""
    numbers = torch.arange(5.0).view(5, 1, 1)
    both = []
    for kept in rows:
        layer = numbers if kept is None else numbers[list(kept)]
        whole = None if kept is None else torch.tensor(kept, dtype=torch.long)
        own = None if whole is None else whole[whole < 3]
        both.append(Features((layer, layer, layer, layer), own, whole))
    inputs = Inputs(features={}, targets={}, videos=torch.tensor([9, 8, 7, 8, 5]))
    assert tuple(videos_of(inputs, *both).tolist()) == wanted
    for found in embeddings(*both):
        assert tuple(inputs.videos[found.flatten().long()].tolist()) == wanted


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("audio~rgb.align", {"negatives": "other"}),
        ("flow~rgb.align", {"negatives": "both"}),
        ("grey~rgb.align", {"negatives": "shifted"}),
        ("audio~rgb.avts", {"margin": 2.0}),
        ("audio~rgb.l3", {}),
        ("audio~grey.embed", {"margin": 2.0}),
        ("flow~rgb.embed", {"margin": 2.0}),
        ("rgb.slow_steady", {"margin": 2.0}),
    ],
)
def test_copies_of_clips_from_the_same_videos_change_nothing(name: str, settings: dict[str, object]) -> None:
    """Nor do they as clips of the same videos; as strangers, each would be its copies' negative."""
    term = build(name, **settings)
    inputs = given(term, videos=(3, 8, 5), sound=(0, 1, 2), unusable={"shifted": (0, 1, 2)})
    alone, thrice = term(inputs).item(), taken(inputs, [0, 0, 0, 1, 1, 1, 2, 2, 2])
    assert term(thrice).item() == pytest.approx(alone, rel=1e-9)
    strangers = replace(thrice, videos=torch.arange(9))
    assert abs(term(strangers).item() - alone) > 1e-6
