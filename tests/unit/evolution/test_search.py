"""The search over weights: repeatable, bounded, and better than chance."""

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline_src.errors import UserError
from pipeline_src.evolution.search import propose, rank
from pipeline_src.evolution.space import Space
from pipeline_src.settings import catalogue
from tests.benchmarks.strategies import GENERATIONS, KINDS, POPULATION, SPACE, TERMS, compare, objective, search

TOURNAMENT = catalogue.complete("strategy", "tournament", {})


def test_cmaes_and_tournament_beat_random_at_equal_evaluations():
    """Else evolving costs compute and gives nothing over drawing weights."""
    found = compare(GENERATIONS, POPULATION).set_index(["objective", "strategy"])
    for kind in KINDS:
        for evolving in ("tournament", "cmaes"):
            row = found.loc[kind, evolving]
            for control in ("random", "grid"):
                assert row["mean"] < 0.5 * found.loc[(kind, control), "mean"]
            assert row["better_than_random"] >= 9
            assert row["p"] < 0.01


def test_first_generation_is_uniform_and_rounded():
    """Else the start of the search is biased, or the files change with the last digits."""
    population = propose("tournament", TOURNAMENT, SPACE, 200, 3, 0, None)
    values = np.array([[weights[term] for term in TERMS] for weights in population])
    assert values.min() >= 0
    assert values.max() <= 1
    # 8000 draws of U[0, 1]: the Kolmogorov-Smirnov distance exceeds 1.95 / sqrt(n) once in a thousand
    ranks = np.sort(values.ravel())
    assert np.abs(ranks - np.arange(1, 8001) / 8000).max() < 1.95 / np.sqrt(8000)
    assert all(value == round(value, 6) for value in values.ravel())


def test_child_differs_from_a_parent_of_the_archive_in_one_value():
    """Else it is not the paper's mutation."""
    _, noisy = objective("sphere", 1)
    state = search("tournament", noisy, generations=1, population=30)[-1]
    parents = [row["values"] for row in state["memory"]["archive"]]
    assert len(parents) == 8
    for child in propose("tournament", TOURNAMENT, SPACE, 30, 0, 1, state):
        values = np.array([child[term] for term in sorted(TERMS)])
        differing = [(values != np.array(parent)).sum() for parent in parents]
        assert min(differing) == 1


def test_parents_leave_with_their_generation_and_children_may_differ_in_more():
    """Else an individual with lucky noise stays the parent of all that follow."""
    settings = catalogue.complete("strategy", "tournament", {"lifetime": 2, "changes": 5})
    states = search("tournament", lambda w, g, i: float(-g), generations=4, **settings)
    assert [{row["generation"] for row in state["memory"]["archive"]} for state in states] == [
        {0},
        {0, 1},
        {1, 2},
        {2, 3},
    ]
    parents = [row["values"] for row in states[-1]["memory"]["archive"]][:8]
    changes = set()
    for child in propose("tournament", settings, SPACE, 100, 0, 4, states[-1]):
        values = np.array(list(child.values()))
        changes.add(min((values != np.array(parent)).sum() for parent in parents))
    assert changes == {1, 2, 3, 4, 5}


def test_every_individual_of_the_start_may_become_a_parent():
    """Nobody has ranked them: with one_hot, only the first terms of the alphabet had children."""
    start = [{term: float(term == one) for term in TERMS} for one in SPACE.terms[:10]]
    children = propose("tournament", TOURNAMENT, SPACE, 210, 0, 0, None, start)[10:]
    given = np.array([SPACE.values(weights) for weights in start])
    counts = np.zeros(10, int)
    for child in children:
        differing = (given != np.array(SPACE.values(child))).sum(1)
        counts[differing.argmin()] += 1
    assert counts.min() >= 8


def test_full_tournament_takes_the_best_as_parent():
    """Else selection ignores fitness."""
    settings = catalogue.complete("strategy", "tournament", {"tournament_size": 8})
    _, noisy = objective("sphere", 2)
    state = search("tournament", noisy, generations=1, **settings)[-1]
    best = [state["best"]["weights"][term] for term in sorted(TERMS)]
    for child in propose("tournament", settings, SPACE, 10, 0, 1, state):
        assert sum(child[term] != value for term, value in zip(sorted(TERMS), best, strict=True)) == 1


def test_proposal_depends_on_neither_order_nor_population_nor_global_random_state():
    """Else a rerun elsewhere gives other weights, or a larger population changes the first individuals."""
    np.random.seed(1)
    first = propose("tournament", TOURNAMENT, SPACE, 4, 7, 0, None)
    np.random.seed(2)
    again = propose("tournament", TOURNAMENT, Space(TERMS[::-1]), 6, 7, 0, None)
    assert again[:4] == first
    assert propose("tournament", TOURNAMENT, SPACE, 4, 8, 0, None) != first
    assert len({tuple(weights.values()) for weights in again}) == 6


@pytest.mark.parametrize("strategy", catalogue.names("strategy"))
def test_a_longer_search_starts_as_the_shorter_one(strategy):
    """Else raising the number of generations would recompute what exists."""
    _, noisy = objective("sphere", 3)
    assert search(strategy, noisy, generations=6)[:4] == search(strategy, noisy, generations=4)


@pytest.mark.parametrize("strategy", catalogue.names("strategy"))
def test_state_does_not_grow_with_generations(strategy):
    """Else the state of a search of 2000 rounds becomes a burden."""
    _, noisy = objective("sphere", 4)
    sizes = [len(json.dumps(state)) for state in search(strategy, noisy, generations=200)]
    assert max(sizes) <= 1.1 * sizes[9]
    assert max(sizes) < 100_000


def test_best_so_far_survives_worse_generations():
    """Else the evolved entry is not the best that was seen."""
    states = search("tournament", lambda w, g, i: 10.0 if (g, i) == (1, 2) else -g - i, generations=5)
    assert [(s["best"]["generation"], s["best"]["individual"]) for s in states[1:]] == [(1, 2)] * 4
    archive = states[-1]["memory"]["archive"]
    assert [row["fitness"] for row in archive] == sorted((row["fitness"] for row in archive), reverse=True)


def test_ranking_puts_failures_last_and_ties_by_number():
    """Else a diverged individual could win, or equal ones swap places between machines."""
    population = propose("random", {}, SPACE, 7, 0, 0, None)
    fitness = [None, 0.5, float("nan"), 0.9, 0.5, float("inf"), -2.0]
    ranking, state = rank("random", {}, SPACE, population, fitness, 0, None)
    assert ranking == [3, 1, 4, 6, 0, 2, 5]
    assert state["best"]["individual"] == 3
    assert state["best"]["weights"] == population[3]


def test_zero_fitness_is_a_success_and_negative_zero_no_better():
    """A Zipf fitness of exactly 0 is the best there is, not a missing value."""
    population = propose("random", {}, SPACE, 3, 0, 0, None)
    ranking, state = rank("random", {}, SPACE, population, [None, -0.1, 0.0], 0, None)
    assert ranking == [2, 1, 0]
    assert state["best"]["fitness"] == 0.0


def test_generation_in_which_all_diverge_keeps_the_archive():
    """Else one bad generation ends or resets a search of days."""
    states = search("tournament", lambda w, g, i: None if g == 1 else float(i), generations=3)
    assert states[1]["memory"] == states[0]["memory"]
    assert states[1]["best"] == states[0]["best"]
    assert states[2]["best"]["fitness"] == 9.0


def test_proposes_afresh_while_nothing_has_succeeded():
    """Else a search whose first generation diverged stops or repeats the same weights."""
    state = search("tournament", lambda w, g, i: None, generations=2)[-1]
    assert state["best"] is None
    first = propose("tournament", TOURNAMENT, SPACE, 5, 0, 0, None)
    fresh = propose("tournament", TOURNAMENT, SPACE, 5, 0, 2, state)
    # a mutated child would share 39 of 40 values with something
    assert all(len(set(a.values()) & set(b.values())) == 0 for a in first for b in fresh)


@pytest.mark.parametrize(
    ("terms", "told"),
    [([*TERMS, "new"], "added new"), (TERMS[1:], "removed term00"), (["x"], "added x; removed")],
)
def test_changed_terms_with_an_old_state_are_told(terms, told):
    """Else weights of other terms would be mixed silently."""
    state = search("tournament", lambda w, g, i: float(i), generations=1)[-1]
    with pytest.raises(UserError, match=told):
        propose("tournament", TOURNAMENT, Space(terms), 4, 0, 1, state)
    with pytest.raises(UserError, match=told):
        rank("tournament", TOURNAMENT, Space(terms), [dict.fromkeys(terms, 0.5)], [1.0], 1, state)


def test_state_of_another_strategy_or_generation_is_told():
    """Else a stale file goes unnoticed."""
    state = search("tournament", lambda w, g, i: float(i), generations=1)[-1]
    with pytest.raises(UserError, match=r"search\.strategy: 'random'.*'tournament'"):
        propose("random", {}, SPACE, 4, 0, 1, state)
    with pytest.raises(UserError, match="generation: 5 - allowed: 1"):
        propose("tournament", TOURNAMENT, SPACE, 4, 0, 5, state)
    with pytest.raises(UserError, match="allowed: 0"):
        propose("tournament", TOURNAMENT, SPACE, 4, 0, 1, None)


def test_strategies_declare_literal_settings():
    """Else the configuration cannot be checked without importing them."""
    assert {"cmaes", "grid", "random", "tournament"} == set(catalogue.names("strategy"))
    assert TOURNAMENT == {"archive": 8, "changes": 1, "lifetime": 3, "tournament_size": 3}
    with pytest.raises(ValueError, match=r"tournament\.archive: 0"):
        catalogue.complete("strategy", "tournament", {"archive": 0})


def test_grid_visits_every_point_once_and_says_when_none_is_left():
    """Else evaluations are spent on what is known, or a search that is over goes on."""
    space = Space(["a", "b", "c"])
    seen = []

    def note(weights, generation, individual):
        seen.append(tuple(weights.values()))
        return 0.0

    states = search("grid", note, generations=9, population=3, space=space, levels=3)
    assert sorted(seen) == sorted(itertools.product((0.0, 0.5, 1.0), repeat=3))
    with pytest.raises(UserError, match=r"search\.generations: 10 - allowed: at most 9, after which all 27 points"):
        propose("grid", {"levels": 3}, space, 3, 0, 9, states[-1])


def test_grid_that_ends_early_has_seen_all_parts_of_it():
    """Else the first terms of the list would never be tried."""
    population = propose("grid", {"levels": 2}, SPACE, 200, 0, 0, None)
    shares = np.mean([list(weights.values()) for weights in population], axis=0)
    assert shares.min() > 0.3
    assert shares.max() < 0.7


def test_cmaes_goes_on_with_another_population_size():
    """Else a search cannot move to a larger machine; what was learned must stay."""
    clean, noisy = objective("sphere", 6)
    settings = catalogue.complete("strategy", "cmaes", {})
    state = search("cmaes", noisy, generations=40, population=16)[-1]
    larger = propose("cmaes", settings, SPACE, 30, 0, 40, state)
    fresh = propose("cmaes", settings, SPACE, 30, 0, 0, None)
    assert np.mean([clean(weights) for weights in larger]) > 0.5 * np.mean([clean(weights) for weights in fresh])
    _, after = rank("cmaes", settings, SPACE, larger, [noisy(w, 40, i) for i, w in enumerate(larger)], 40, state)
    assert len(propose("cmaes", settings, SPACE, 7, 0, 41, after)) == 7


DRAWN_AFTER_SOME_GENERATIONS = """
import json
from pipeline_src.evolution.search import propose
from pipeline_src.settings import catalogue
from tests.benchmarks.strategies import SPACE, objective, search
state = search("cmaes", objective("sphere", 0)[1], generations=5, population=8)[-1]
print(json.dumps(propose("cmaes", catalogue.complete("strategy", "cmaes", {}), SPACE, 8, 0, 5, state)))
"""


def test_cmaes_draws_the_same_on_other_processors():
    """Else a cluster of two kinds of nodes makes another search each time; numpy's kernels round differently."""
    root = Path(__file__).parents[3]
    found = {
        subprocess.run(
            [sys.executable, "-c", DRAWN_AFTER_SOME_GENERATIONS],
            cwd=root,
            env={**os.environ, **kernel},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for kernel in ({}, {"OPENBLAS_CORETYPE": "Nehalem"}, {"OPENBLAS_CORETYPE": "Prescott"})
    }
    assert len(found) == 1


def test_cmaes_takes_failed_individuals_for_the_worst_but_learns_nothing_from_failures_alone():
    """Else a region that diverges attracts the search, or a bad night on the cluster moves it."""
    clean, _ = objective("sphere", 6)
    settings = catalogue.complete("strategy", "cmaes", {})
    population = propose("cmaes", settings, SPACE, 12, 0, 0, None)
    fitness = [clean(weights) for weights in population]
    worst = np.argsort(fitness)[:3]
    failing = [None if number in worst else value for number, value in enumerate(fitness)]
    _, told = rank("cmaes", settings, SPACE, population, failing, 0, None)
    _, all_known = rank("cmaes", settings, SPACE, population, fitness, 0, None)
    np.testing.assert_allclose(told["memory"]["_mean"], all_known["memory"]["_mean"], atol=0.02)
    _, mostly_failed = rank("cmaes", settings, SPACE, population, [*fitness[:5], *[None] * 7], 0, None)
    here = np.mean([list(weights.values()) for weights in population], 0)
    np.testing.assert_allclose(mostly_failed["memory"]["_mean"], here, atol=1e-5)
    assert mostly_failed["memory"]["_sigma"] == settings["sigma"]
    _, failed_later = rank("cmaes", settings, SPACE, population, [None] * 12, 1, {**told, "generation": 0})
    assert failed_later["memory"] == told["memory"]


def test_a_constant_fitness_ends_no_search():
    """All individuals equal: weights stay in range and differ, whatever the strategy."""
    for strategy in catalogue.names("strategy"):
        state = search(strategy, lambda w, g, i: 1.0, generations=60)[-1]
        settings = catalogue.complete("strategy", strategy, {})
        population = propose(strategy, settings, SPACE, 10, 0, 60, state)
        assert len({tuple(weights.values()) for weights in population}) == 10
        assert (state["best"]["generation"], state["best"]["individual"]) == (0, 0)


def test_steps_on_the_log_scale_are_factors_and_zero_is_off():
    """Else a search over orders of magnitude spends its draws near 1."""
    space = Space(["a", "b", "c", "d"], floor=0.001)
    weights = space.weights(np.array([0.0, 1e-9, 2 / 3, 1.0]))
    assert weights == {"a": 0.0, "b": 0.001, "c": 0.1, "d": 1.0}
    # The smallest weight comes back as the smallest place that is not off.
    np.testing.assert_allclose(space.values(weights), [0.0, 1e-6, 2 / 3, 1.0], atol=1e-9)
    assert space.values({"a": 0.0009, "b": 0.5, "c": 0.5, "d": 0.5})[0] == 0.0
    # A floor of more digits than weights are rounded to turned its terms off once they were ranked.
    fine = Space(["a"], floor=0.0000123)
    assert fine.values(fine.weights(np.array([1e-9])))[0] > 0
    population = propose("random", {}, Space(TERMS, floor=0.001), 100, 0, 0, None)
    below = np.mean([[weight < 0.001**0.5 for weight in weights.values()] for weights in population])
    assert 0.47 < below < 0.53


@pytest.mark.parametrize("strategy", catalogue.names("strategy"))
def test_fixed_weights_are_in_every_individual_and_no_dimension_of_the_search(strategy):
    """Else a term that the user wants as it is gets lost."""
    fixed = {"term03": 0.25, "term07": 0.0}
    seen = []

    def note(weights, generation, individual):
        seen.append(weights)
        return weights["term00"]

    search(strategy, note, generations=4, space=Space(TERMS, fixed))
    assert all(list(weights) == TERMS for weights in seen)
    assert {(weights["term03"], weights["term07"]) for weights in seen} == {(0.25, 0.0)}
    with pytest.raises(UserError, match="at least one term is searched"):
        Space(["a", "b"], {"a": 1.0, "b": 0.0})


@pytest.mark.parametrize("strategy", catalogue.names("strategy"))
def test_the_first_generation_begins_with_the_given_individuals(strategy):
    """Else a warm start starts cold."""
    settings = catalogue.complete("strategy", strategy, {})
    start = [{term: round(0.01 * (number + row), 6) for number, term in enumerate(TERMS)} for row in range(3)]
    population = propose(strategy, settings, SPACE, 6, 0, 0, None, start)
    assert population[:3] == start
    assert propose(strategy, settings, SPACE, 4, 0, 0, None, start * 2) == [*start, start[0]]
    if strategy in ("tournament", "cmaes"):
        # The others are children of the given ones.
        distances = [min(spread(child, parent) for parent in start) for child in population[3:]]
        assert max(distances) < {"tournament": 1.0, "cmaes": 40 * 0.3}[strategy]
        assert min(distances) > 0
    _, state = rank(strategy, settings, SPACE, population, [1.0, 3.0, 2.0, 0.0, 0.0, 0.0], 0, None)
    assert state["best"]["weights"] == start[1]


def spread(one, other):
    return sum(abs(one[term] - other[term]) for term in TERMS)
