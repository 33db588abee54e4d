"""Weights of the rows of the results table."""

import numpy as np
import pytest

from pipeline_src.errors import UserError
from pipeline_src.evolution.lineup import choose_weights
from pipeline_src.settings.transfer import LineupEntry

WEIGHTS = {
    "distill.flow.layer1": 0.9,
    "distill.grey.layer2": 0.8,
    "rgb.shuffle": 0.1,
    "rgb>flow.translate": 0.7,
}
TERMS = list(WEIGHTS)
STATE = {"best": {"generation": 2, "individual": 1, "fitness": -0.1, "weights": WEIGHTS}}


def entry(kind, name="row", term=None):
    # model_construct: the tests' terms need no task modules behind them
    return LineupEntry.model_construct(name=name, kind=kind, term=term)


def test_evolved_is_the_best_so_far():
    """Else the final training uses other weights than the search found."""
    assert choose_weights(entry("evolved"), TERMS, 0, STATE) == WEIGHTS


def test_without_distillation_only_distillation_is_zero():
    """Else that ablation compares something else."""
    found = choose_weights(entry("evolved_without_distillation"), TERMS, 0, STATE)
    assert found == {**WEIGHTS, "distill.flow.layer1": 0.0, "distill.grey.layer2": 0.0}


def test_permuted_keeps_the_values_and_moves_them():
    """Else the control does not control for the values' distribution."""
    for seed in range(30):
        found = choose_weights(entry("evolved_permuted"), TERMS, seed, STATE)
        assert sorted(found.values()) == sorted(WEIGHTS.values())
        assert found != WEIGHTS
        assert found == choose_weights(entry("evolved_permuted"), TERMS, seed, STATE)
    equal = {"best": {"weights": dict.fromkeys(TERMS, 0.5)}}
    assert choose_weights(entry("evolved_permuted"), TERMS, 0, equal) == dict.fromkeys(TERMS, 0.5)


def test_random_depends_on_seed_and_name():
    """Else two random rows are the same row twice."""
    first = choose_weights(entry("random", "a"), TERMS, 0)
    assert first == choose_weights(entry("random", "a"), TERMS[::-1], 0)
    assert len({tuple(choose_weights(entry("random", n), TERMS, s).values()) for n in "ab" for s in (0, 1)}) == 4
    assert all(0 <= value <= 1 for value in first.values())


def test_uniform_single_and_scratch():
    """Rows without a search need no search."""
    assert choose_weights(entry("uniform"), TERMS, 0) == dict.fromkeys(TERMS, 1.0)
    assert choose_weights(entry("single", term="rgb.shuffle"), TERMS, 0) == {
        term: float(term == "rgb.shuffle") for term in TERMS
    }
    assert choose_weights(entry("scratch"), TERMS, 0) == {}
    with pytest.raises(UserError, match=r"lineup\.row\.term: 'x'"):
        choose_weights(entry("single", term="x"), TERMS, 0)


@pytest.mark.parametrize("kind", ["evolved", "evolved_permuted", "evolved_without_distillation", "best_of_random"])
def test_missing_failed_or_foreign_search_is_told(kind):
    """Else a run goes on with weights that no search has found."""
    with pytest.raises(UserError, match="needs the search's last state"):
        choose_weights(entry(kind), TERMS, 0)
    with pytest.raises(UserError, match="no individual of the search got a fitness"):
        choose_weights(entry(kind), TERMS, 0, {"best": None})
    with pytest.raises(UserError, match=r"differ in rgb\.shuffle"):
        choose_weights(entry(kind), [t for t in TERMS if t != "rgb.shuffle"], 0, STATE)


def test_permuted_leaves_the_weights_that_were_not_searched():
    """Else a fixed weight is dealt to another term, and the row is of another space."""
    state = {**STATE, "fixed": {"rgb.shuffle": 0.1}}
    for seed in range(10):
        found = choose_weights(entry("evolved_permuted"), TERMS, seed, state)
        assert found["rgb.shuffle"] == 0.1
        assert sorted(found.values()) == sorted(WEIGHTS.values())
        assert found != WEIGHTS
    alone = {**STATE, "fixed": {term: WEIGHTS[term] for term in TERMS[1:]}}
    assert choose_weights(entry("evolved_permuted"), TERMS, 0, alone) == WEIGHTS


def test_random_is_drawn_from_the_space_that_is_searched():
    """Else choosing among random weights is held against random weights of another kind."""
    space = {"fixed": {"rgb.shuffle": 0.3}, "floor": 0.001}
    found = [choose_weights(entry("random"), TERMS, seed, **space) for seed in range(300)]
    assert {weights["rgb.shuffle"] for weights in found} == {0.3}
    others = np.array([weights["rgb>flow.translate"] for weights in found])
    # Even on a log scale from 0.001 to 1, two thirds lie below 0.1.
    assert others.min() >= 0.001
    assert 0.58 < (others < 0.1).mean() < 0.75
