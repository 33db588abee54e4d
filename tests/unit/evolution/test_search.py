"""The search over weights: repeatable, bounded, and better than chance."""

import json

import numpy as np
import pytest

from pipeline_src.errors import UserError
from pipeline_src.evolution.search import propose, rank
from pipeline_src.settings import catalogue

TERMS = [f"term{number}" for number in range(10)]
TOURNAMENT = catalogue.complete("strategy", "tournament", {})


def search(strategy, settings, fitness_of, *, generations, population=10, seed=0, terms=TERMS):
    """Run a whole search; the state passes through JSON as between jobs."""
    state, states = None, []
    for generation in range(generations):
        individuals = propose(strategy, settings, terms, population, seed, generation, state)
        fitness = [fitness_of(weights, generation, number) for number, weights in enumerate(individuals)]
        _, state = rank(strategy, settings, individuals, fitness, generation, state)
        state = json.loads(json.dumps(state, allow_nan=False))
        states.append(state)
    return states


def noisy_sphere(seed):
    target = np.random.default_rng(seed).random(len(TERMS))

    def clean(weights):
        return -float(np.sum((np.array([weights[term] for term in TERMS]) - target) ** 2))

    def noisy(weights, generation, individual):
        return clean(weights) + 0.05 * np.random.default_rng([seed, generation, individual, 99]).standard_normal()

    return clean, noisy


def test_tournament_beats_random_search_at_equal_evaluations_on_a_noisy_sphere():
    """Else evolving costs compute and gives nothing over drawing weights."""
    regret = {"tournament": [], "random": []}
    for seed in range(12):
        clean, noisy = noisy_sphere(seed)
        for strategy, found in regret.items():
            settings = catalogue.complete("strategy", strategy, {})
            states = search(strategy, settings, noisy, generations=20, seed=seed)
            found.append(-clean(states[-1]["best"]["weights"]))
    wins = sum(ours < control for ours, control in zip(regret["tournament"], regret["random"], strict=True))
    assert wins >= 11  # sign test: 13 / 4096 if both were equally good
    assert np.mean(regret["tournament"]) < 0.5 * np.mean(regret["random"])


def test_first_generation_is_uniform_and_rounded():
    """Else the start of the search is biased, or the files change with the last digits."""
    population = propose("tournament", TOURNAMENT, TERMS, 200, 3, 0, None)
    values = np.array([[weights[term] for term in TERMS] for weights in population])
    assert values.min() >= 0
    assert values.max() <= 1
    # 2000 draws of U[0, 1]: the Kolmogorov-Smirnov distance exceeds 1.95 / sqrt(n) once in a thousand
    ranks = np.sort(values.ravel())
    assert np.abs(ranks - np.arange(1, 2001) / 2000).max() < 1.95 / np.sqrt(2000)
    assert all(value == round(value, 6) for value in values.ravel())


def test_child_differs_from_a_parent_of_the_archive_in_one_value():
    """Else it is not the paper's mutation."""
    _, noisy = noisy_sphere(1)
    state = search("tournament", TOURNAMENT, noisy, generations=1, population=30)[-1]
    parents = [row["values"] for row in state["memory"]["archive"]]
    assert len(parents) == 8
    for child in propose("tournament", TOURNAMENT, TERMS, 30, 0, 1, state):
        values = np.array([child[term] for term in sorted(TERMS)])
        differing = [(values != np.array(parent)).sum() for parent in parents]
        assert min(differing) == 1


def test_full_tournament_takes_the_best_as_parent():
    """Else selection ignores fitness."""
    settings = {"archive": 8, "tournament_size": 8}
    _, noisy = noisy_sphere(2)
    state = search("tournament", settings, noisy, generations=1)[-1]
    best = [state["best"]["weights"][term] for term in sorted(TERMS)]
    for child in propose("tournament", settings, TERMS, 10, 0, 1, state):
        assert sum(child[term] != value for term, value in zip(sorted(TERMS), best, strict=True)) == 1


def test_proposal_depends_on_neither_order_nor_population_nor_global_random_state():
    """Else a rerun elsewhere gives other weights, or a larger population changes the first individuals."""
    np.random.seed(1)
    first = propose("tournament", TOURNAMENT, TERMS, 4, 7, 0, None)
    np.random.seed(2)
    again = propose("tournament", TOURNAMENT, TERMS[::-1], 6, 7, 0, None)
    assert again[:4] == first
    assert propose("tournament", TOURNAMENT, TERMS, 4, 8, 0, None) != first
    assert len({tuple(weights.values()) for weights in again}) == 6


def test_a_longer_search_starts_as_the_shorter_one():
    """Else raising the number of generations would recompute what exists."""
    _, noisy = noisy_sphere(3)
    assert search("tournament", TOURNAMENT, noisy, generations=6)[:4] == search(
        "tournament", TOURNAMENT, noisy, generations=4
    )


def test_state_does_not_grow_with_generations():
    """Else the state of a search of 2000 rounds becomes a burden."""
    _, noisy = noisy_sphere(4)
    sizes = [len(json.dumps(state)) for state in search("tournament", TOURNAMENT, noisy, generations=200)]
    assert max(sizes) <= 1.1 * sizes[5]


def test_best_so_far_survives_worse_generations():
    """Else the evolved entry is not the best that was seen."""
    states = search("tournament", TOURNAMENT, lambda w, g, i: 10.0 if (g, i) == (1, 2) else -g - i, generations=5)
    assert [(s["best"]["generation"], s["best"]["individual"]) for s in states[1:]] == [(1, 2)] * 4
    archive = states[-1]["memory"]["archive"]
    assert [row["fitness"] for row in archive] == sorted((row["fitness"] for row in archive), reverse=True)


def test_ranking_puts_failures_last_and_ties_by_number():
    """Else a diverged individual could win, or equal ones swap places between machines."""
    population = propose("random", {}, TERMS, 7, 0, 0, None)
    fitness = [None, 0.5, float("nan"), 0.9, 0.5, float("inf"), -2.0]
    ranking, state = rank("random", {}, population, fitness, 0, None)
    assert ranking == [3, 1, 4, 6, 0, 2, 5]
    assert state["best"]["individual"] == 3
    assert state["best"]["weights"] == population[3]


def test_zero_fitness_is_a_success_and_negative_zero_no_better():
    """A Zipf fitness of exactly 0 is the best there is, not a missing value."""
    population = propose("random", {}, TERMS, 3, 0, 0, None)
    ranking, state = rank("random", {}, population, [None, -0.1, 0.0], 0, None)
    assert ranking == [2, 1, 0]
    assert state["best"]["fitness"] == 0.0


def test_generation_in_which_all_diverge_keeps_the_archive():
    """Else one bad generation ends or resets a search of days."""
    states = search("tournament", TOURNAMENT, lambda w, g, i: None if g == 1 else float(i), generations=3)
    assert states[1]["memory"] == states[0]["memory"]
    assert states[1]["best"] == states[0]["best"]
    assert states[2]["best"]["fitness"] == 9.0


def test_proposes_afresh_while_nothing_has_succeeded():
    """Else a search whose first generation diverged stops or repeats the same weights."""
    state = search("tournament", TOURNAMENT, lambda w, g, i: None, generations=2)[-1]
    assert state["best"] is None
    first = propose("tournament", TOURNAMENT, TERMS, 5, 0, 0, None)
    fresh = propose("tournament", TOURNAMENT, TERMS, 5, 0, 2, state)
    # a mutated child would share nine of ten values with something
    assert all(len(set(a.values()) & set(b.values())) == 0 for a in first for b in fresh)


@pytest.mark.parametrize(
    ("terms", "told"),
    [([*TERMS, "new"], "added new"), (TERMS[1:], "removed term0"), (["x"], "added x; removed")],
)
def test_changed_terms_with_an_old_state_are_told(terms, told):
    """Else weights of other terms would be mixed silently."""
    state = search("tournament", TOURNAMENT, lambda w, g, i: float(i), generations=1)[-1]
    with pytest.raises(UserError, match=told):
        propose("tournament", TOURNAMENT, terms, 4, 0, 1, state)
    with pytest.raises(UserError, match=told):
        rank("tournament", TOURNAMENT, [dict.fromkeys(terms, 0.5)], [1.0], 1, state)


def test_state_of_another_strategy_or_generation_is_told():
    """Else a stale file goes unnoticed."""
    state = search("tournament", TOURNAMENT, lambda w, g, i: float(i), generations=1)[-1]
    with pytest.raises(UserError, match=r"search\.strategy: 'random'.*'tournament'"):
        propose("random", {}, TERMS, 4, 0, 1, state)
    with pytest.raises(UserError, match="generation: 5 - allowed: 1"):
        propose("tournament", TOURNAMENT, TERMS, 4, 0, 5, state)
    with pytest.raises(UserError, match="allowed: 0"):
        propose("tournament", TOURNAMENT, TERMS, 4, 0, 1, None)


def test_strategies_declare_literal_settings():
    """Else the configuration cannot be checked without importing them."""
    assert {"random", "tournament"} <= set(catalogue.names("strategy"))
    assert TOURNAMENT == {"archive": 8, "tournament_size": 3}
    with pytest.raises(ValueError, match=r"tournament\.archive: 0"):
        catalogue.complete("strategy", "tournament", {"archive": 0})
