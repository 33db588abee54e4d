"""Terms that compare crops of clips: with queued keys, within the batch, without negatives, across modalities."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline_src.batches.views import View
from pipeline_src.tasks.contrast import info_nce
from pipeline_src.tasks.term import Inputs
from tests.unit.tasks.inputs import (
    VIDEOS,
    build,
    check_retrieval,
    contrast,
    given,
    lines,
    pooled,
    recorded,
    reference,
)

MOCO = [("rgb.moco", 1, [2]), ("flow.moco", 1, [2]), ("rgb.rho_moco", 3, [1, 2, 3])]
Keys = list[tuple[np.ndarray, int]]


def crops(modality: str, numbers: Sequence[int]) -> list[View]:
    return [View(modality, f"crop{number}") for number in numbers]


def keys_of(term: object, inputs: Inputs, view: View) -> np.ndarray:
    """(M, size) keys of a view, of length 1."""
    (key,) = (key for key in term.keys if key.view == view)  # type: ignore[attr-defined]
    head = term.heads[view.modality] if hasattr(term, "heads") else term.head  # type: ignore[attr-defined]
    return lines(head.target(pooled(inputs.keys[key])))


def queued(term: object, modality: str, kept: Sequence[int], size: int, numbers: Sequence[int] = (7, 8)) -> Keys:
    """The last keys of earlier batches, which the term remembers on the way, and the videos they stem from."""
    found: Keys = []
    for number in numbers:
        earlier = given(term, number=number, videos=(9, 3, 8, 0, 3, number))  # type: ignore[arg-type]
        term.remember(earlier)  # type: ignore[attr-defined]
        for view in crops(modality, kept):
            found += zip(keys_of(term, earlier, view), earlier.videos.tolist(), strict=True)
    return found[-size:]


def moco_by_hand(term: object, inputs: Inputs, queue: Keys, asked: View, shown: View, temperature: float) -> float:
    queries = lines(term.head.online(pooled(inputs.features[asked])))  # type: ignore[attr-defined]
    keys = keys_of(term, inputs, shown)
    losses = []
    for i, query in enumerate(queries):
        below = [key for key, video in zip(keys, VIDEOS) if video != VIDEOS[i]]
        below += [key for key, video in queue if video != VIDEOS[i]]
        losses.append(contrast(query, [keys[i]], below, temperature))
    return float(np.mean(losses))


@reference("moco", "rho_moco")
@pytest.mark.parametrize(("name", "queries", "kept"), MOCO)
@pytest.mark.parametrize("queue", [7, 100])
def test_moco_is_info_nce_among_keys_of_other_videos(name: str, queries: int, kept: list[int], queue: int) -> None:
    """Keys of the same video are no negatives, be they in the batch or queued; nor are the queue's empty places."""
    settings = {"rho": 3} if "rho" in name else {}
    term = build(name, queue=queue, temperature=0.2, **settings)
    modality = name.split(".")[0]
    assert term.encoded == tuple(crops(modality, range(1, queries + 1)))
    assert [key.view for key in term.keys] == crops(modality, kept)
    before = queued(term, modality, kept, queue)
    assert (term.queue.videos >= 0).sum() == len(before) == min(queue, 12 * len(kept))
    inputs = given(term)
    pairs = [(a, b) for a, b in itertools.product(term.encoded, crops(modality, kept)) if a != b]
    expected = np.mean([moco_by_hand(term, inputs, before, a, b, 0.2) for a, b in pairs])
    value = term(inputs)
    assert value.item() == pytest.approx(expected, rel=1e-9)
    value.backward()
    assert all(layer.grad is None for found in inputs.keys.values() for layer in found.layers)
    first = lines(term.head.online(pooled(inputs.features[term.encoded[0]])))
    check_retrieval(term.outcome(inputs), first, keys_of(term, inputs, term.keys[-1].view), VIDEOS)


def test_a_batch_larger_than_the_queue_leaves_its_last_keys() -> None:
    term = build("rgb.moco", queue=4)
    before = queued(term, "rgb", [2], 4, numbers=(7,))
    held = sorted((video, *vector) for vector, video in zip(term.queue.vectors.tolist(), term.queue.videos.tolist()))
    np.testing.assert_allclose(held, sorted((video, *key) for key, video in before), rtol=1e-12)


def test_the_first_batch_is_compared_with_itself_alone() -> None:
    term = build("rgb.moco")
    inputs = given(term)
    expected = moco_by_hand(term, inputs, [], View("rgb", "crop1"), View("rgb", "crop2"), 0.07)
    assert term(inputs).item() == pytest.approx(expected, rel=1e-9)


def test_a_batch_of_one_video_has_nothing_to_tell_apart() -> None:
    for name in ("rgb.moco", "flow~rgb.coclr"):
        term = build(name)
        assert term(given(term, videos=(4,) * 6)).item() == pytest.approx(0, abs=1e-12)
    term = build("rgb.simclr")
    assert term(given(term, videos=(4,) * 6)) is None


@reference("ubernce")
def test_ubernce_takes_all_clips_of_the_class_for_positives() -> None:
    """In the batch and in the queue."""
    term = build("rgb.ubernce", queue=10, temperature=0.2)
    videos, classes = (3, 1, 0, 3, 2, 1), (0, 1, 0, 0, 1, 1)
    labelled = {0: 0, 1: 1, 2: 1, 3: 0, 8: 1, 9: 0, 6: 5, 7: 0}
    queue: list[tuple[np.ndarray, int, int]] = []
    for number in (7, 6):
        earlier = given(term, number=number, videos=(9, 3, 8, 0, 2, number))
        of = [labelled[video] for video in earlier.videos.tolist()]
        earlier = replace(earlier, classes=torch.tensor(of))
        term.remember(earlier)
        queue += zip(keys_of(term, earlier, View("rgb", "crop2")), earlier.videos.tolist(), of, strict=True)
    inputs = replace(given(term, videos=videos), classes=torch.tensor(classes))
    queries = lines(term.head.online(pooled(inputs.features[View("rgb", "crop1")])))
    keys = keys_of(term, inputs, View("rgb", "crop2"))
    known = [*zip(keys, videos, classes, strict=True), *queue[-10:]]
    losses = []
    for query, video, label in zip(queries, videos, classes, strict=True):
        above = [key for key, _, of in known if of == label]
        below = [key for key, other, of in known if of != label and other != video]
        losses.append(contrast(query, above, below, 0.2))
    assert term(inputs).item() == pytest.approx(np.mean(losses), rel=1e-9)
    outcome = term.outcome(inputs)
    for i, query in enumerate(queries):
        rivals = [j for j in range(6) if videos[j] != videos[i]]
        nearest = max(rivals, key=lambda j: float(query @ keys[j]))
        assert outcome.values[i] == float(classes[nearest] == classes[i])
        chance = np.mean([classes[j] == classes[i] for j in rivals])
        assert outcome.trivial[i].item() == pytest.approx(chance)


def test_ubernce_is_not_judged_without_a_rival_video() -> None:
    term = build("rgb.ubernce")
    assert term.outcome(given(term, videos=(4, 4, 4))) is None
    found = term.outcome(given(term, videos=(4, 4, 5)))
    assert len(found.values) == len(found.trivial) == 3
    assert found.trivial.tolist() == [0, 0, 0]


def test_an_empty_queue_holds_no_positives_of_ubernce() -> None:
    term = build("rgb.ubernce")
    inputs = replace(given(term), classes=torch.tensor([0, 0, 0, 0, 0, 1]))
    assert term(inputs).item() == pytest.approx(term(replace(inputs, classes=inputs.classes + 5)).item(), rel=1e-12)


@reference("simclr", "rho_simclr")
@pytest.mark.parametrize(("name", "rho"), [("rgb.simclr", 2), ("flow.simclr", 2), ("rgb.rho_simclr", 3)])
def test_simclr_is_nt_xent_over_crops_of_other_videos(name: str, rho: int) -> None:
    term = build(name, temperature=0.3)
    inputs = given(term)
    assert term.encoded == tuple(crops(name.split(".")[0], range(1, rho + 1)))
    z = [lines(term.head(pooled(inputs.features[view]))) for view in term.encoded]
    losses = []
    for a, b in itertools.permutations(range(rho), 2):
        for i in range(6):
            others = [j for j in range(6) if VIDEOS[j] != VIDEOS[i]]
            below = [z[a][j] for j in others] + [z[b][j] for j in others]
            losses.append(contrast(z[a][i], [z[b][i]], below, 0.3))
    assert term(inputs).item() == pytest.approx(np.mean(losses), rel=1e-9)
    check_retrieval(term.outcome(inputs), z[0], z[1], VIDEOS)


@reference("rho_byol")
@pytest.mark.parametrize("rho", [2, 4])
def test_byol_is_the_negative_cosine_of_predictions_and_momentum_projections(rho: int) -> None:
    term = build("rgb.rho_byol", rho=rho)
    inputs = given(term)
    views = crops("rgb", range(1, rho + 1))
    assert (term.encoded, [key.view for key in term.keys]) == (tuple(views), views)
    p = [lines(term.predictor(term.head.online(pooled(inputs.features[view])))) for view in views]
    z = [keys_of(term, inputs, view) for view in views]
    cosines = [p[a][i] @ z[b][i] for a in range(rho) for b in range(rho) if a != b for i in range(6)]
    value = term(inputs)
    assert value.item() == pytest.approx(-np.mean(cosines), rel=1e-9)
    check_retrieval(term.outcome(inputs), p[0], z[1], VIDEOS)
    value.backward()
    assert all(layer.grad is None for found in inputs.keys.values() for layer in found.layers)


@reference("simsiam")
def test_simsiam_is_the_negative_cosine_with_the_other_crop_held_still() -> None:
    term = build("rgb.simsiam")
    inputs = given(term)
    projected, predicted = recorded(term.projector), recorded(term.predictor)
    value = term(inputs)
    z, p = [[found / np.linalg.norm(found, axis=1)[:, None] for _, found in calls] for calls in (projected, predicted)]
    for (given_to, _), view in zip(projected, crops("rgb", (1, 2)), strict=True):
        np.testing.assert_allclose(given_to, pooled(inputs.features[view]).detach().numpy())
    expected = -np.mean([(p[0][i] @ z[1][i] + p[1][i] @ z[0][i]) / 2 for i in range(6)])
    assert value.item() == pytest.approx(expected, rel=1e-9)
    check_retrieval(term.outcome(inputs), p[0], z[1], VIDEOS)
    # The gradient is that of the predictions alone.
    leaves = [inputs.features[view].layers[3] for view in crops("rgb", (1, 2))]
    z0, z1 = (term.projector(pooled(inputs.features[view])) for view in crops("rgb", (1, 2)))
    cosine = torch.nn.CosineSimilarity(1)
    alone = -(cosine(term.predictor(z0), torch.tensor(z[1])) + cosine(term.predictor(z1), torch.tensor(z[0]))).mean()
    for found, wanted in zip(*(torch.autograd.grad(loss, leaves) for loss in (value, alone / 2)), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("name", ["rgb.rho_byol", "rgb.simsiam", "rgb.rho_swav"])
def test_a_single_clip_cannot_be_normalised(name: str) -> None:
    term = build(name)
    assert term(given(term, videos=(3,))) is None
    assert term.outcome(given(term, videos=(3,))) is None


def coclr_by_hand(term: object, inputs: Inputs, queues: dict[str, Keys], modality: str, positives: int) -> float:
    other = {"rgb": "flow", "flow": "rgb"}[modality]
    view = View(modality, "crop1")
    queries = lines(term.heads[modality].online(pooled(inputs.features[view])))  # type: ignore[attr-defined]
    known = {
        name: [*zip(keys_of(term, inputs, View(name, "crop2")), VIDEOS, strict=True), *queues[name]]
        for name in ("rgb", "flow")
    }
    losses = []
    for i, query in enumerate(queries):
        rivals = [j for j, (_, video) in enumerate(known[modality]) if video != VIDEOS[i]]
        rivals.sort(key=lambda j: float(known[other][i][0] @ known[other][j][0]), reverse=True)
        above = [known[modality][j][0] for j in [i, *rivals[:positives]]]
        losses.append(contrast(query, above, [known[modality][j][0] for j in rivals[positives:]], 0.2))
    return float(np.mean(losses))


@reference("coclr")
@pytest.mark.parametrize(
    ("progress", "learning", "positives"),
    [
        (0.0, ["rgb", "flow"], 0),
        (0.19, ["rgb", "flow"], 0),
        (0.2, ["rgb"], 3),
        (0.39, ["rgb"], 3),
        (0.41, ["flow"], 3),
        (0.61, ["rgb"], 3),
        (0.99, ["flow"], 3),
    ],
)
def test_coclr_mines_positives_where_the_other_modality_sees_them(
    progress: float, learning: list[str], positives: int
) -> None:
    """A fifth of the training alone, then rgb, flow, rgb, flow by what the other one's keys are near to."""
    term = build("flow~rgb.coclr", positives=3, initial=0.2, cycles=2, queue=9, temperature=0.2)
    queues: dict[str, Keys] = {"rgb": [], "flow": []}
    for number in (7, 8):
        earlier = given(term, number=number, videos=(9, 3, 8, 0, 3, number))
        term.remember(earlier)
        for modality, queue in queues.items():
            queue += zip(keys_of(term, earlier, View(modality, "crop2")), earlier.videos.tolist(), strict=True)
    queues = {modality: queue[-9:] for modality, queue in queues.items()}
    inputs = given(term, progress=progress)
    expected = np.mean([coclr_by_hand(term, inputs, queues, modality, positives) for modality in learning])
    value = term(inputs)
    assert value.item() == pytest.approx(expected, rel=1e-9)
    value.backward()
    learned = [name for name in ("rgb", "flow") if inputs.features[View(name, "crop1")].layers[3].grad is not None]
    assert learned == learning
    rgb = View("rgb", "crop1")
    queries = lines(term.heads["rgb"].online(pooled(inputs.features[rgb])))
    check_retrieval(term.outcome(inputs), queries, keys_of(term, inputs, View("rgb", "crop2")), VIDEOS)


@pytest.mark.parametrize("progress", [0.0, 0.5, 1.0])
def test_coclr_without_a_mining_part_learns_both_modalities_throughout(progress: float) -> None:
    term = build("flow~rgb.coclr", initial=1.0)
    assert [term.modalities[turn] for turn in term.turns(progress)] == ["rgb", "flow"]


def test_coclr_takes_what_there_is_where_too_few_clips_can_be_mined() -> None:
    term = build("flow~rgb.coclr", positives=50, initial=0.0, temperature=0.2)
    inputs = given(term)
    expected = coclr_by_hand(term, inputs, {"rgb": [], "flow": []}, "rgb", 50)
    assert term(inputs).item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("name", "rising"),
    [
        ("rgb.moco", False),
        ("rgb.rho_moco", True),
        ("rgb.ubernce", False),
        ("flow~rgb.coclr", False),
        ("rgb.rho_byol", True),
        ("rgb.scrl", True),
    ],
)
@pytest.mark.parametrize("progress", [0.0, 0.25, 1.0])
def test_momentum_heads_follow_the_learned_ones(name: str, rising: bool, progress: float) -> None:
    """A rising momentum goes from its start to 1 along half a cosine."""
    term = build(name, momentum=0.9)
    heads = term.heads.values() if name == "flow~rgb.coclr" else [term.head]
    keep = 1 - 0.1 * math.cos(math.pi * progress / 2) ** 2 if rising else 0.9
    assert all(key.momentum.at(progress) == pytest.approx(keep, rel=1e-12) for key in term.keys)
    for head in heads:
        assert not any(parameter.requires_grad for parameter in head.target.parameters())
        for parameter in head.online.parameters():
            parameter.data += torch.randn(parameter.shape, dtype=torch.float64)
    before = [(p.clone(), q.clone()) for h in heads for p, q in zip(h.target.parameters(), h.online.parameters())]
    term.follow(progress)
    for (old, online), new in zip(before, [p for head in heads for p in head.target.parameters()], strict=True):
        np.testing.assert_allclose(new, keep * old.numpy() + (1 - keep) * online.detach().numpy(), rtol=1e-9)


def test_small_losses_survive_16_bits() -> None:
    """Autocast multiplies in bfloat16: a loss of 0.02 among thousands of keys became 0, its gradient turned around."""
    random = torch.Generator().manual_seed(0)
    similarity = 0.1 * torch.randn(32, 8192, generator=random)
    similarity[:, 0] = 0.98
    positive = torch.zeros(32, 8192, dtype=torch.bool)
    positive[:, 0] = True
    gradients, losses = [], []
    for dtype in (torch.bfloat16, torch.float64):
        given = similarity.bfloat16().to(dtype).requires_grad_()
        loss = info_nce(given, positive, ~positive, 0.07)
        (gradient,) = torch.autograd.grad(loss, given)
        losses.append(loss.item())
        gradients.append(gradient.double().flatten())
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert losses[1] < 0.1
    assert torch.nn.functional.cosine_similarity(*gradients, dim=0) > 0.999
