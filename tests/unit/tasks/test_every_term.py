"""What holds for every term, and that every family has a test of its values."""

import ast
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch

from pipeline_src.settings import catalogue
from pipeline_src.tasks.term import Momentum, Term, agreement, retrieval, squared_error
from tests.unit.tasks.inputs import SHAPES, build, given


@cache
def with_reference() -> set[str]:
    """Families named by a `@reference` of a test in this folder."""
    found = set()
    for path in Path(__file__).parent.glob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                for mark in node.decorator_list:
                    if isinstance(mark, ast.Call) and getattr(mark.func, "id", "") == "reference":
                        found |= {ast.literal_eval(family) for family in mark.args}
    return found


@pytest.mark.parametrize("family", catalogue.names("task"))
def test_every_family_has_a_test_against_another_calculation(family: str) -> None:
    """Mark it with `@reference(family)`."""
    assert family in with_reference()


@pytest.mark.parametrize("family", catalogue.names("task"))
def test_every_family_names_its_paper(family: str) -> None:
    assert catalogue.source(family).strip()


@pytest.mark.parametrize("name", sorted(catalogue.terms()))
def test_every_term_gives_a_finite_scalar_whose_gradient_reaches_an_encoder(name: str) -> None:
    term = build(name).float()
    inputs = given(term, dtype=torch.float32)
    for _ in range(2):  # The second time with filled queues.
        value = term(inputs)
        assert value.shape == ()
        assert value.dtype == torch.float32
        assert torch.isfinite(value)
        term.remember(inputs)
        term.follow(0.5)
    value = term(inputs)
    value.backward()
    gradients = [layer.grad for found in inputs.features.values() for layer in found.layers]
    assert all(torch.isfinite(gradient).all() for gradient in gradients if gradient is not None)
    assert any(gradient is not None and gradient.abs().sum() > 0 for gradient in gradients)
    assert all(layer.grad is None for found in inputs.keys.values() for layer in found.layers)


@pytest.mark.parametrize("name", sorted(catalogue.terms()))
def test_every_term_tells_how_well_its_task_is_solved(name: str) -> None:
    term = build(name)
    found = term.outcome(given(term))
    assert found.values.dim() == 1
    assert found.values.shape == found.trivial.shape
    assert torch.isfinite(found.values).all()
    assert (found.values >= 0).all()
    if not found.error:
        assert (found.values <= 1).all()
        assert ((found.trivial >= 0) & (found.trivial <= 1)).all()


@pytest.mark.parametrize("name", sorted(catalogue.terms()))
def test_a_value_depends_on_nothing_but_the_batch_and_what_was_remembered(name: str) -> None:
    term = build(name)
    inputs = given(term)
    torch.manual_seed(5)
    first = term(inputs).item()
    torch.manual_seed(6)
    assert term(inputs).item() == first


def test_terms_that_keep_nothing_remember_and_follow_nothing() -> None:
    term = Term()
    term.remember(None)  # type: ignore[arg-type]
    term.follow(1.0)
    assert term.state_dict() == {}


def test_momentum_stays_or_rises_along_half_a_cosine() -> None:
    assert [Momentum(0.9).at(progress) for progress in (0.0, 0.5, 1.0)] == [0.9, 0.9, 0.9]
    rising = [Momentum(0.9, rises=True).at(progress) for progress in (0.0, 1 / 3, 0.5, 2 / 3, 1.0)]
    assert rising == pytest.approx([0.9, 0.925, 0.95, 0.975, 1.0])


def test_a_clips_own_video_has_no_rivals() -> None:
    """The nearest key is another clip's, which is a mistake only where that stems from another video."""
    queries = torch.tensor([[1.0, 0.0], [0.9, 0.1], [-1.0, 0.2]])
    keys = torch.tensor([[0.5, 0.5], [7.0, 0.0], [0.9, 0.3]])
    found = retrieval(queries, keys, torch.tensor([4, 4, 6]))
    assert found.values.tolist() == [0, 1, 0]
    assert found.trivial.tolist() == pytest.approx([1 / 2, 1 / 2, 1 / 3])


def test_answers_are_compared_with_other_examples_labels() -> None:
    found = agreement(torch.tensor([2, 0, 5, 2, 2]), torch.tensor([2, 2, 5, 0, 7]))
    assert not found.error
    assert found.values.tolist() == [1, 0, 1, 0, 0]
    assert found.trivial.tolist() == pytest.approx([1 / 4, 1 / 4, 0, 2 / 4, 2 / 4])


def test_chance_agreement_is_what_unrelated_answers_reach() -> None:
    random = torch.Generator().manual_seed(0)
    answers, labels = (torch.randint(4, (4000,), generator=random).clamp(min=low) for low in (1, 2))
    found = agreement(answers, labels)
    assert found.values.mean().item() == pytest.approx(found.trivial.mean().item(), abs=0.03)
    assert found.trivial.mean().item() == pytest.approx(1 / 4 * 3 / 4 + 1 / 4 * 1 / 4, abs=0.02)


def test_errors_are_compared_with_those_of_the_mean() -> None:
    found = squared_error(torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[1.0, 4.0], [3.0, 0.0]]))
    assert found.error
    assert found.values.tolist() == pytest.approx([2.0, 4.5])
    assert found.trivial.tolist() == pytest.approx([5.0, 5.0])


def test_the_mean_of_a_batch_is_worth_no_more_than_the_mean_of_all() -> None:
    truth = torch.randn(500, 8, 3, generator=torch.Generator().manual_seed(0))
    found = torch.cat([squared_error(torch.zeros_like(part), part).trivial for part in truth])
    assert found.mean().item() == pytest.approx(1.0, abs=0.03)


def test_a_collection_without_audio_has_no_spectrograms_to_paint() -> None:
    with pytest.raises(ValueError, match="audio"):
        replace(SHAPES, spectrogram=None).picture("audio", 6)
