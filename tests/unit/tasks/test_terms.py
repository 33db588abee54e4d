"""Every term's value against a calculation written another way."""

import numpy as np
import pytest
import torch

from pipeline_src.batches.views import View
from pipeline_src.loss.engine import build_term
from pipeline_src.networks.encoder import Features
from pipeline_src.settings import catalogue
from pipeline_src.settings.learning import LossSettings
from pipeline_src.tasks.term import Inputs, Shapes, Term

CLIPS = 6
CHANNELS = {"rgb": (2, 3, 4, 5), "flow": (2, 3, 4, 5), "grey": (2, 3, 4, 5), "audio": (2, 4, 6, 8)}
SHAPES = Shapes(CHANNELS, frames=4, future_frames=2, painted=3, decoder_width=4)
PICTURES = {"rgb": 3, "flow": 2, "grey": 1}


def features(modality: str, seed: int, rows: torch.Tensor | None = None) -> Features:
    random = torch.Generator().manual_seed(seed)
    clips = CLIPS if rows is None else len(rows)
    places = (3, 2) if modality == "audio" else (2, 3, 3)
    a, b, c, d = (torch.randn(clips, n, *places, generator=random, requires_grad=True) for n in CHANNELS[modality])
    return Features((a, b, c, d), rows)


def inputs(term: Term, rows: torch.Tensor | None = None, shiftable: torch.Tensor | None = None) -> Inputs:
    found = {v: features(v.modality, i, rows if v.modality == "audio" else None) for i, v in enumerate(term.encoded)}
    random = torch.Generator().manual_seed(9)
    targets = {}
    for view in term.targets:
        frames = 2 if view.transform == "next" else 4
        targets[view] = torch.randn(CLIPS, PICTURES[view.modality], frames, 12, 12, generator=random)
    return Inputs(found, targets, torch.ones(CLIPS, dtype=torch.bool) if shiftable is None else shiftable)


def build(name: str, **settings: object) -> Term:
    family = catalogue.terms()[name]
    torch.manual_seed(1)
    return build_term(name, SHAPES, LossSettings.model_validate({"terms": [name], "tasks": {family: settings}}))


@pytest.mark.parametrize("name", sorted(catalogue.terms()))
def test_every_term_gives_a_finite_scalar_with_a_gradient(name: str) -> None:
    term = build(name)
    given = inputs(term, rows=torch.tensor([0, 2, 3]))
    value = term(given)
    assert value is not None
    assert value.shape == ()
    assert torch.isfinite(value)
    value.backward()
    leaves = [layer.grad for found in given.features.values() for layer in found.layers]
    assert any(grad is not None and grad.abs().sum() > 0 for grad in leaves)


@pytest.mark.parametrize(
    ("name", "target", "frames"),
    [
        ("rgb.reconstruct", View("rgb"), 4),
        ("flow.future", View("flow", "next"), 2),
        ("rgb>flow.translate", View("flow"), 4),
        ("grey>rgb.translate", View("rgb"), 4),
    ],
)
def test_painting_terms_are_the_mean_squared_error_to_the_shrunken_target(name: str, target: View, frames: int) -> None:
    term = build(name)
    assert term.targets == (target,)
    given = inputs(term)
    painted = term.decoder(given.features[term.encoded[0]].layers[3])  # type: ignore[operator]
    wanted = given.targets[target].reshape(CLIPS, -1, frames, 3, 4, 3, 4).mean((4, 6))
    expected = np.square(painted.detach().numpy() - wanted.numpy()).mean()
    assert term(given).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("name", "transform"), [("rgb.shuffle", "shuffled"), ("flow.backward", "reversed")])
def test_recognition_terms_are_the_cross_entropy_over_both_views(name: str, transform: str) -> None:
    term = build(name)
    modality = name.split(".")[0]
    assert term.encoded == (View(modality), View(modality, transform))
    given = inputs(term)
    plain, changed = (
        torch.sigmoid(term.head(given.features[view].layers[3].mean((2, 3, 4))))  # type: ignore[operator]
        for view in term.encoded
    )
    expected = -(torch.log(plain).mean() + torch.log(1 - changed).mean()) / 2
    assert term(given).item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("negatives", ["shifted", "other", "both"])
def test_alignment_is_the_cross_entropy_of_matching_against_mismatched_pairs(negatives: str) -> None:
    term = build("audio~rgb.align", negatives=negatives)
    rows = torch.tensor([0, 2, 3, 5])
    shiftable = torch.tensor([True, True, False, True, True, True])
    given = inputs(term, rows, shiftable)
    audio = given.features[View("audio")].embedding
    rgb = given.features[View("rgb")].embedding[rows]

    def probability(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        joined = torch.cat([term.project_first(a), term.project_second(b)], 1)  # type: ignore[operator]
        return torch.sigmoid(term.head(joined)).squeeze(1)  # type: ignore[operator]

    others = audio[[3, 0, 1, 2]]
    parts = []
    if negatives != "shifted":
        parts.append(torch.log(1 - probability(others, rgb)).mean())
    if negatives != "other":
        shifted = given.features[View("audio", "shifted")].embedding.clone()
        shifted[1] = others[1]  # row 1 is clip 2, which is too short to shift
        parts.append(torch.log(1 - probability(shifted, rgb)).mean())
    expected = -(torch.log(probability(audio, rgb)).mean() + sum(parts) / len(parts)) / 2
    assert term(given).item() == pytest.approx(expected.item(), rel=1e-4)


def test_embedding_is_the_max_margin_triplet_loss_over_all_pairs() -> None:
    term = build("flow~rgb.embed", margin=0.3)
    given = inputs(term)
    a, b = (
        project(given.features[view].embedding).detach().numpy()
        for project, view in zip((term.project_first, term.project_second), term.encoded, strict=True)  # type: ignore[misc]
    )
    a, b = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (a, b))
    losses = []
    for i in range(CLIPS):
        own = np.square(a[i] - b[i]).sum()
        for j in range(CLIPS):
            if i != j:
                losses.append(max(0, 0.3 + own - np.square(a[i] - b[j]).sum()))
                losses.append(max(0, 0.3 + own - np.square(a[j] - b[i]).sum()))
    assert term(given).item() == pytest.approx(np.mean(losses), rel=1e-4)


@pytest.mark.parametrize("name", ["distill.flow.layer2", "distill.grey.embedding", "distill.audio.layer1"])
def test_distillation_is_the_squared_difference_and_leaves_the_teacher_alone(name: str) -> None:
    term = build(name)
    _, teacher, place = name.split(".")
    rows = torch.tensor([1, 4]) if teacher == "audio" else None
    given = inputs(term, rows)
    index = 3 if place == "embedding" else int(place[-1]) - 1
    ours, theirs = given.features[View("rgb")].layers[index], given.features[View(teacher)].layers[index]
    if rows is not None:
        mapped = theirs.mean((2, 3)).detach() @ term.adapt.weight.T + term.adapt.bias  # type: ignore[union-attr,operator]
        expected = (ours[rows].mean((2, 3, 4)) - mapped).square().mean()
    elif place == "embedding":
        expected = (ours.mean((2, 3, 4)) - theirs.mean((2, 3, 4))).square().mean()
    else:
        expected = (ours - theirs).square().mean()
    value = term(given)
    assert value is not None
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)
    value.backward()
    assert ours.grad is not None
    assert theirs.grad is None


def test_distillation_can_pull_both_networks() -> None:
    term = build("distill.flow.layer2", into_rgb_only=False)
    given = inputs(term)
    value = term(given)
    assert value is not None
    value.backward()
    assert given.features[View("flow")].layers[1].grad is not None


@pytest.mark.parametrize("name", ["audio~rgb.align", "audio~rgb.embed", "distill.audio.layer2"])
def test_audio_terms_stay_silent_where_no_clip_has_sound(name: str) -> None:
    """Silence would otherwise be learned as if it were sound."""
    term = build(name)
    assert term(inputs(term, rows=torch.zeros(0, dtype=torch.long))) is None
