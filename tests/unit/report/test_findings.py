"""The page must say what the controls say, above all when evolved does not win."""

from collections.abc import Callable
from typing import Any

import pytest

from pipeline_src.report.comparison import Comparison, Score
from pipeline_src.report.findings import limits, transfer_findings
from pipeline_src.report.gather import gather
from pipeline_src.report.search_figures import fitness_curve
from pipeline_src.report.search_findings import fitness_findings, search_findings
from pipeline_src.report.summary import facts_list
from pipeline_src.report.verdicts import details_of, headline_of

Make = Callable[..., Any]
FEW = {"loss": {"terms": ["rgb.shuffle", "rgb>flow.translate", "distill.flow.layer1"]}}


def headline(run: Any) -> tuple[str, str]:
    found = transfer_findings(gather(run.write()))[0].headline
    return found.text, found.tone


def test_evolved_that_loses_to_random_is_said_plainly(fake_run: Make) -> None:
    """A reader would believe that the search helped."""
    run = fake_run(**FEW)
    run.top1 = lambda entry, seed, method: 0.2 if entry == "evolved" else 0.6
    text, tone = headline(run)
    assert text == "On motions, the evolved loss does not beat the random loss: it is worse by every method."
    assert tone == "bad"


def test_a_lead_within_noise_is_no_win(fake_run: Make) -> None:
    """A lucky test clip or two would be sold as progress."""
    run = fake_run(**FEW)
    run.top1 = lambda entry, seed, method: 0.42 if entry == "evolved" else 0.4
    text, tone = headline(run)
    assert "does not beat the random loss" in text
    assert "no more than noise" in text
    assert tone == "bad"


def test_a_clear_win_is_said_too(fake_run: Make) -> None:
    """An honest page also reports success."""
    run = fake_run(**FEW)
    run.top1 = lambda entry, seed, method: 0.8 if entry == "evolved" else 0.3
    assert headline(run) == ("On motions, the evolved loss beats the random loss by every method.", "good")
    details = transfer_findings(gather(run.settings))[0].details
    assert details[0].startswith("k-means: 80.0 % against 30.0 %, +50.0 points, 95 % interval +")
    assert ", p below 0.001: better." in details[0]


def test_a_win_by_one_method_names_it(fake_run: Make) -> None:
    """One method's win would be told as a win."""
    run = fake_run(**FEW)
    run.top1 = lambda entry, seed, method: 0.8 if (entry, method) == ("evolved", "linear") else 0.3
    assert headline(run)[0] == "On motions, the evolved loss beats the random loss by 1-layer only."


def test_an_evolved_entry_that_failed_everywhere(fake_run: Make) -> None:
    """The page would be silent about it."""
    run = fake_run(**FEW)
    run.top1 = lambda entry, seed, method: None if entry == "evolved" else 0.3
    assert headline(run)[0] == "On motions, the evolved loss has no result: every evaluation failed."


@pytest.mark.parametrize(
    ("known", "text"),
    [
        ({"kmeans"}, "k-means, the only method with a result of both."),
        ({"kmeans", "retrieval"}, "k-means and R@1, the only methods with a result of both."),
    ],
)
def test_a_win_by_the_methods_that_are_left_is_no_win_by_every_method(
    fake_run: Make, known: set[str], text: str
) -> None:
    """An evolved network that diverged wherever it was trained on won the headline."""
    run = fake_run(**FEW)
    run.top1 = lambda entry, seed, method: 0.3 if entry != "evolved" else 0.8 if method in known else None
    assert headline(run) == (f"On motions, the evolved loss beats the random loss by {text}", "bad")


def test_a_win_on_the_splits_that_are_left_says_so() -> None:
    """Evolved that diverged on a split won without a word about it."""
    score = Score(
        0.8, None, results=1, failed=1, splits=1, all_splits=2, source_videos=40, low=0.7, high=0.9, floor=0.1
    )
    won = Comparison("linear", 1, 2, 40, ours=0.8, against=0.3, gap=0.5, low=0.3, high=0.7, p=0.0001)
    found = headline_of("motions", {"linear": score}, ("linear",), [won])
    assert found.text.endswith("beats the random loss by every method, on the splits that both have a result of.")
    assert found.tone == "plain"
    assert "80.0 % against 30.0 % on 1 of 2 splits, +50.0 points" in details_of(won)


def test_methods_that_the_random_loss_failed_by_are_named(fake_run: Make) -> None:
    """Else the failed ones count as won, or as not better."""
    run = fake_run(**FEW)
    run.top1 = lambda entry, seed, method: 0.8 if entry == "evolved" else None if method == "linear" else 0.3
    text, tone = headline(run)
    assert text.endswith("the only methods with a result of both.")
    assert tone == "plain"
    better = {"kmeans": 0.8}
    run.top1 = lambda entry, seed, method: (
        better.get(method, 0.3) if entry == "evolved" else None if method == "linear" else 0.3
    )
    assert headline(run)[0] == (
        "On motions, the evolved loss beats the random loss by k-means only. By 1-layer, one of the two has no result."
    )


def test_a_rival_that_failed_by_most_methods_is_in_no_every(fake_run: Make) -> None:
    """Better than a row by the one method that it did not fail by would be better by every method."""
    run = fake_run(**FEW)
    half = {"uniform": {"kmeans"}, "scratch": set()}
    run.top1 = lambda entry, seed, method: (
        0.8 if entry == "evolved" else 0.3 if method in half.get(entry, {method}) else None
    )
    found = transfer_findings(gather(run.write()))[0]
    texts = [sentence.text for sentence in found.sentences]
    assert any(
        t.startswith("Evolved against uniform: k-means better (")
        and t.endswith("By 1-layer, fine-tune, R@1 and k-NN, one of the two has no result.")
        for t in texts
    )
    assert "No method has a result of both evolved and scratch." in texts
    assert not any("by every method" in t and ("uniform" in t or "scratch" in t) for t in texts)


def test_rows_without_a_result_are_not_above_chance(fake_run: Make) -> None:
    """“Every trained entry is above chance by every method” held for a network that every evaluation failed of."""
    run = fake_run(**FEW)
    run.top1 = lambda entry, seed, method: (
        None if entry == "scratch" or (entry, method) == ("uniform", "linear") else 0.6
    )
    (found,) = [f for f in transfer_findings(gather(run.write()))[0].sentences if "above chance" in f.text]
    assert found.text.endswith(
        "wherever it has an interval; it has none by k-means: scratch; 1-layer: uniform and scratch;"
        " fine-tune: scratch; R@1: scratch; k-NN: scratch."
    )


def test_a_verdict_on_one_seed_of_several_is_refused(fake_run: Make) -> None:
    """What diverged twice of three times won by its luckiest training."""
    run = fake_run(**FEW, seeds=[0, 1, 2])
    run.top1 = lambda entry, seed, method: 0.3 if entry != "evolved" else None if seed else 0.8
    found = transfer_findings(gather(run.write()))[0]
    assert "it cannot be said" in found.headline.text
    assert "fewer than two gave a result" in found.headline.text
    assert found.details[0] == "k-means: 80.0 % against 30.0 %, +50.0 points: too few seeds left."
    assert "Too few seeds gave a result for a verdict on evolved against" in found.sentences[0].text


def test_failed_seeds_are_told_and_change_no_verdict(fake_run: Make) -> None:
    """A diverged seed would pull a row down, or vanish."""
    run = fake_run(**FEW, seeds=[0, 1, 2])
    run.top1 = lambda entry, seed, method: 0.3 if entry != "evolved" else None if seed == 2 else 0.8
    found = transfer_findings(gather(run.write()))[0]
    assert found.headline.tone == "good"
    assert "5 evaluations gave no result and are in no mean and no comparison: evolved." in [
        sentence.text for sentence in found.sentences
    ]


def test_with_few_source_videos_nothing_is_said(fake_run: Make) -> None:
    """Ten clips of five videos would be evidence."""
    run = fake_run(**FEW)
    run.test_clips = 10
    run.top1 = lambda entry, seed, method: 0.8 if entry == "evolved" else 0.2
    found = transfer_findings(gather(run.write()))[0]
    assert "its test clips are of fewer than 6 source videos" in found.headline.text
    assert found.details[0] == "k-means: 80.0 % against 20.0 %, +60.0 points: too few source videos."
    assert "Too few source videos for a verdict" in found.sentences[0].text


def test_results_at_chance_and_clip_length_are_pointed_out(fake_run: Make) -> None:
    """Chance results would be ranked, and a data set that gives itself away by length would pass."""
    run = fake_run(**FEW)
    run.top1 = lambda entry, seed, method: 0.16 if entry == "scratch" else 0.6
    run.baseline = {"frame count": 0.5, "raw pixels": 0.2}
    texts = " ".join(f.text for f in transfer_findings(gather(run.write()))[0].sentences)
    assert "Within the interval of chance" in texts
    assert "scratch" in texts
    assert "number of frames of a clip alone is above chance (k-means 50.0 % and 1-layer 50.0 %)" in texts


def test_classes_that_training_lacks_are_pointed_out(fake_run: Make) -> None:
    """A low top-1 would be held against the networks, though the split's lists are at fault."""
    run = fake_run(**FEW)
    sentences = transfer_findings(gather(run.write()))[0].sentences
    assert not [f for f in sentences if "without a training clip" in f.text]
    run.unseen = {1: (20, [f"class {n}" for n in range(12)])}
    facts = gather(run.write())
    (found,) = [f for f in transfer_findings(facts)[0].sentences if "without a training clip" in f.text]
    assert found.tone == "bad"
    assert found.text.startswith(
        "Split 1: 20 of 80 test clips belong to classes without a training clip (class 0, class 1"
    )
    assert "class 9 and 2 more)" in found.text
    assert found.text.endswith("no top-1 can exceed 75.0 %.")
    assert "20 of them of classes without training clips" in dict(facts_list(facts))["Clips: motions"]


def test_a_single_seed_is_a_limit(fake_run: Make) -> None:
    """Differences between single trainings would be taken as differences between losses."""
    one = limits(gather(fake_run(**FEW).write()))
    assert "single seed" in one[0].text
    assert one[0].tone == "bad"
    two = limits(gather(fake_run(**FEW, run="two", seeds=[0, 1]).write()))
    assert "2 seeds" in two[0].text


@pytest.mark.parametrize(
    ("kl", "expected"),
    [
        (lambda g, i: 0.5 - 0.1 * g, "The best fitness rose from −0.500 in generation 0"),
        (lambda g, i: 0.5 + 0.1 * g, "Fitness did not improve"),
        (lambda g, i: 0.5 - 0.001 * g, "smaller than the estimate’s own noise"),
        (lambda g, i: None, "No individual of the search got a fitness."),
    ],
)
def test_progress_of_the_search(fake_run: Make, kl: Any, expected: str) -> None:
    """A search that only kept its luckiest first draw would be called evolution."""
    run = fake_run(**FEW)
    run.kl = kl
    assert expected in search_findings(gather(run.write()))[0].text


def test_one_generation_is_called_a_random_search(fake_run: Make) -> None:
    """Nothing evolves in one generation."""
    run = fake_run(**FEW, search={"population": 4, "generations": 1})
    assert "nothing evolved" in search_findings(gather(run.write()))[0].text


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ({}, "in generation 0, whose weights are drawn at random, to"),
        ({"strategy": "cmaes"}, "in generation 0, which the search began with, to"),
        ({"start": "one_hot", "population": 84}, "in generation 0, which the search began with, to"),
    ],
)
def test_the_first_generation_is_called_random_only_where_it_is(
    fake_run: Make, search: dict[str, Any], expected: str
) -> None:
    """Else a warm start looks like what evolution has reached."""
    run = fake_run(**FEW, search={"population": 4, "generations": 3, **search})
    assert expected in search_findings(gather(run.write()))[0].text


def test_a_mixed_fitness_has_a_panel_of_its_own_beside_its_parts(fake_run: Make) -> None:
    """Else the page shows what the search did not maximise."""
    run = fake_run(**FEW, fitness={"measure": "mix", "clips": 240, "weak": {"collection": "motions"}})
    panels = fitness_curve(gather(run.write()))
    assert [panel.name for panel in panels] == ["fitness_mix", "fitness_zipf", "fitness_weak"]
    assert panels[0].description.startswith("mixed fitness of 12 individuals")


def test_controls_that_win_are_said(fake_run: Make) -> None:
    """A fitness that untrained networks or random vectors maximise would be trusted."""
    run = fake_run(**FEW)
    run.control_kl = {"untrained": 0.01, "raw_pixels": 0.45, "constant": None, "gaussian": 0.02}
    found = {f.text.split(":")[0]: f for f in fitness_findings(gather(run.write()))}
    assert "not one of 12 scored individuals is above it" in found["Control, untrained network"].text
    assert found["Control, untrained network"].tone == "bad"
    assert "of 12 scored individuals are above it" in found["Control, raw pixels"].text
    assert "refused by the guards, as it must be" in found["Control, constant vectors"].text
    assert "won without any content" in found["Control, random vectors"].text


def test_what_the_search_brought_is_told_beside_uniform_weights_and_terms_alone(fake_run: Make) -> None:
    """A search that loses against a single term, or against no search at all, would look like a success."""
    run = fake_run(**FEW)
    run.kl = lambda g, i: 0.3 + 0.01 * i
    run.control_kl = {"uniform": 0.25, "only rgb.shuffle": 0.4, "only rgb.future": 0.315, "only rgb.backward": None}
    uniform, alone = fitness_findings(gather(run.write()))[:2]
    assert "the search found no better weights than the same for every term" in uniform.text
    assert uniform.tone == "bad"
    assert "3 terms tried alone: the best, rgb.future, has fitness −0.315; 6 of 12" in alone.text
    assert alone.tone == "plain"
    run.control_kl = {"only rgb.future": 0.29}
    (alone, *_) = fitness_findings(gather(run.write()))
    assert "1 term tried alone: the best, rgb.future, has fitness −0.290; 0 of 12" in alone.text
    assert alone.tone == "bad"


def test_a_search_whose_first_generation_failed_begins_with_the_first_that_did_not(fake_run: Make) -> None:
    """Else nothing is called risen, from nothing, and that is called good."""
    run = fake_run(**FEW)
    run.kl = lambda g, i: None if g == 0 else 0.3 + 0.01 * i
    progress = search_findings(gather(run.write()))[0]
    assert "is from generation 1, the first in which an individual succeeded" in progress.text
    assert "–" not in progress.text
    assert progress.tone == "bad"


def test_controls_are_held_against_those_who_were_trained_as_long(fake_run: Make) -> None:
    """Else a lucky short training, which says nothing, beats them."""
    run = fake_run(**FEW)
    run.control_kl = {"uniform": 0.2, "only rgb.future": 0.2}
    facts = gather(run.write())
    facts.individuals["fitness"] = -0.05
    facts.individuals.loc[facts.individuals["individual"] == 0, ["rung", "fitness"]] = [1, -0.3]
    uniform, alone = fitness_findings(facts)[:2]
    assert "not one of 3 scored individuals is above it (best −0.300)" in uniform.text
    assert "0 of 3 scored individuals are above it (best −0.300)" in alone.text


def test_a_lead_over_a_control_within_the_noise_of_the_estimate(fake_run: Make) -> None:
    """0.49 against 0.5 nats with a noise of 0.029 would count as better than an untrained network."""
    run = fake_run(**FEW)
    run.kl = lambda g, i: 0.49
    run.control_kl = {"untrained": 0.5, "raw_pixels": 0.6}
    untrained, pixels = fitness_findings(gather(run.write()))[:2]
    assert "less than the estimate’s own noise, about 0.029 nats" in untrained.text
    assert untrained.tone == "bad"
    assert "noise" not in pixels.text


def test_fitness_and_transfer_over_the_lineup(fake_run: Make) -> None:
    """The reader would not learn whether the fitness is worth maximising. Fake fitness falls along the lineup."""
    run = fake_run(**FEW)
    names = [entry.name for entry in run.settings.lineup]
    run.top1 = lambda entry, seed, method: 0.2 + 0.1 * names.index(entry)
    found = fitness_findings(gather(run.write()))[-1]
    assert "k-means −1.00, 1-layer −1.00, fine-tune −1.00, R@1 −1.00 and k-NN −1.00" in found.text
    assert "6 lineup entries" in found.text
    assert found.tone == "bad"
