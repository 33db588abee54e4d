"""How individuals are tried: slots, rungs, seeds, and who is better than whom."""

import pytest

from pipeline_src.evolution.search import propose, rank
from pipeline_src.evolution.space import Space
from pipeline_src.evolution.trials import Trials, merged, trials_of
from pipeline_src.settings import catalogue


def results(**fitness):
    """Content of fitness files: individual ("i3") to fitness."""
    return [
        {"individual": int(name[1:]), "fitness": value, "status": "ok" if value is not None else "diverged"}
        for name, value in fitness.items()
    ]


def test_slots_jobs_and_steps_are_known_beforehand():
    trials = Trials(population=20, rungs=3, eta=3, share=4, seeds=2)
    assert [trials.slots(rung) for rung in range(3)] == [20, 6, 2]
    assert [trials.jobs(rung) for rung in range(3)] == [5, 2, 1]
    assert list(trials.slots_of(1, 1)) == [4, 5]
    assert [trials.iterations(rung, 90) for rung in range(3)] == [10, 30, 90]
    assert trials.steps(90) == 2 * (20 * 10 + 6 * 20 + 2 * 60)
    assert trials.folders(1, 1) == ["rung_1/seed_1/job_000", "rung_1/seed_1/job_001"]
    alone = Trials(population=5)
    assert (alone.jobs(0), alone.iterations(0, 90), alone.steps(90)) == (5, 90, 450)


def test_halving_by_three_takes_less_than_two_fifths_of_the_steps():
    """The bar of the issue that asked for it, for a population that divides well."""
    whole, halved = Trials(9), Trials(9, rungs=3, eta=3)
    assert halved.steps(270) / whole.steps(270) == pytest.approx((30 * 9 + 60 * 3 + 180) / (270 * 9))
    assert halved.steps(270) < 0.4 * whole.steps(270)


def test_fitness_is_the_mean_over_seeds_and_fails_where_any_failed():
    found = trials_of(0, [results(i0=1.0, i1=2.0, i2=4.0), results(i0=2.0, i1=None, i2=4.0)])
    assert [trial.individual for trial in found] == [2, 0, 1]
    assert [trial.fitness for trial in found] == [4.0, 1.5, None]
    assert [trial.spread for trial in found] == [0.0, pytest.approx(0.7071, abs=1e-4), None]
    assert found[2].result["status"] == "diverged"
    assert trials_of(0, [results(i0=1.0)])[0].spread is None


def test_what_is_shown_beside_the_fitness_is_the_mean_over_seeds_as_well():
    """Else a table's measures do not add up to the fitness that it is ranked by."""
    seeds = [
        [{"individual": 3, "fitness": -kl, "status": "ok", "zipf": {"kl": kl, "proportions": [kl, 1.0]}, "weak": None}]
        for kl in (0.2, 0.3)
    ]
    (trial,) = trials_of(0, seeds)
    assert trial.result == {
        "individual": 3,
        "fitness": -0.25,
        "status": "ok",
        "zipf": {"kl": 0.25, "proportions": [0.25, 1.0]},
        "weak": None,
    }


def test_who_got_further_is_better_whatever_the_fitness_and_failures_come_last():
    """Fitness after few steps and after many are not comparable."""
    first = trials_of(0, [results(i0=9.0, i1=8.0, i2=7.0, i3=1.0)])
    second = trials_of(1, [results(i0=2.0, i1=None)])
    assert [trial.individual for trial in merged([first, second])] == [0, 2, 3, 1]


@pytest.mark.parametrize("strategy", ["tournament", "cmaes"])
def test_strategies_and_the_best_follow_the_rung_before_the_fitness(strategy):
    """Else a lucky short training becomes the evolved loss."""
    space = Space(["a", "b"])
    settings = catalogue.complete("strategy", strategy, {})
    population = propose(strategy, settings, space, 4, 0, 0, None)
    ranking, state = rank(strategy, settings, space, population, [9.0, 0.1, 8.0, 0.2], 0, None, [0, 1, 0, 1])
    assert ranking == [3, 1, 0, 2]
    assert (state["best"]["individual"], state["best"]["rung"]) == (3, 1)
    population = propose(strategy, settings, space, 4, 0, 1, state)
    _, later = rank(strategy, settings, space, population, [5.0, 5.0, 5.0, 5.0], 1, state, [0, 0, 0, 0])
    assert later["best"] == state["best"]
    _, later = rank(strategy, settings, space, population, [0.0, 0.0, 0.3, 0.0], 1, state, [0, 0, 1, 0])
    assert later["best"]["individual"] == 2
