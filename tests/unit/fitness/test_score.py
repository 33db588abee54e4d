"""The content of fitness.json: a good embedding, and everything that must not win."""

import json

import numpy as np
import pytest

from pipeline_src.errors import UserError
from pipeline_src.fitness.controls import control_features
from pipeline_src.fitness.score import diverged, score
from pipeline_src.settings.search import FitnessSettings

CLUSTERS = 5
SETTINGS = FitnessSettings.model_validate({"zipf": {"clusters": CLUSTERS, "temperature": 0.1}, "min_effective_rank": 2})
ZIPF = np.array([137, 68, 46, 34, 27])
KEYS = {"fitness", "status", "reason", "measure", "clips", "zipf", "weak", "effective_rank", "stability"}


def blobs(sizes, seed=0, dimensions=16, spread=0.02):
    """Well separated clusters, shuffled; returns embeddings and labels."""
    random = np.random.default_rng(seed)
    centres, _ = np.linalg.qr(random.standard_normal((dimensions, dimensions)))
    labels = random.permutation(np.repeat(np.arange(len(sizes)), sizes))
    return (centres[labels] + spread * random.standard_normal((len(labels), dimensions))).astype(np.float32), labels


def weak_settings(measure):
    return FitnessSettings.model_validate(
        {"measure": "weak", "zipf": {"clusters": CLUSTERS}, "weak": {"collection": "c", "measure": measure}}
    )


def test_zipfian_clusters_beat_equal_ones():
    """Else the search does not move towards Zipf's law."""
    zipfian, equal = (score(blobs(sizes)[0], SETTINGS, 0) for sizes in (ZIPF, [62] * 5))
    assert zipfian["status"] == equal["status"] == "ok"
    assert zipfian["fitness"] == -zipfian["zipf"]["kl"]
    assert zipfian["fitness"] > -0.03 > equal["fitness"]
    assert zipfian["stability"] > 0.99
    assert zipfian["clips"] == ZIPF.sum()
    assert set(zipfian) == KEYS


def test_scale_of_the_embeddings_plays_no_part():
    """Else a network wins by making its vectors longer."""
    vectors = blobs(ZIPF)[0]
    assert score(vectors * 1000, SETTINGS, 0)["fitness"] == pytest.approx(
        score(vectors, SETTINGS, 0)["fitness"], abs=1e-5
    )


def test_same_seed_gives_the_same_result_and_json():
    """Else reruns rank individuals in another order."""
    vectors = np.random.default_rng(0).standard_normal((400, 8)).astype(np.float32)
    loose = SETTINGS.model_copy(update={"min_stability": 0.0})
    first, again = (json.dumps(score(vectors, loose, 3), allow_nan=False) for _ in range(2))
    assert first == again
    assert json.loads(first)["zipf"] != score(vectors, loose, 4)["zipf"]


@pytest.mark.parametrize("kind", ["constant", "zero", "rounding", "line"])
def test_collapsed_embeddings_get_no_fitness(kind):
    """Else a network that says the same of every clip may win."""
    vectors = np.tile(np.linspace(1, 2, 16, dtype=np.float32), (312, 1))
    if kind == "zero":
        vectors = np.zeros_like(vectors)
    elif kind == "rounding":
        vectors = vectors * (1 + 1e-8 * np.random.default_rng(0).standard_normal(vectors.shape))
    elif kind == "line":
        vectors[:, 0] = np.random.default_rng(0).standard_normal(312)
    found = score(vectors, SETTINGS, 0)
    assert (found["status"], found["fitness"]) == ("collapsed", None)
    assert "fitness.min_effective_rank 2" in found["reason"]
    json.dumps(found, allow_nan=False)


def test_equal_embeddings_are_collapsed_even_with_the_lowest_floor():
    """A floor of 1 turns the guard off for lines, never for a constant."""
    lowest = SETTINGS.model_copy(update={"min_effective_rank": 1.0})
    assert score(np.ones((312, 4)), lowest, 0)["status"] == "collapsed"


def test_structureless_embeddings_are_unstable():
    """Else noise whose clusters happen to be Zipf-like may win."""
    found = score(np.random.default_rng(0).standard_normal((600, 32)), SETTINGS, 0)
    assert (found["status"], found["fitness"]) == ("unstable", None)
    assert found["stability"] < 0.2
    assert "fitness.min_stability 0.2" in found["reason"]
    assert found["zipf"] is not None


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_non_finite_embeddings_are_diverged(value):
    """Else one NaN stops the whole search."""
    vectors = blobs(ZIPF)[0]
    vectors[[3, 7], 2] = value
    found = score(vectors, SETTINGS, 0)
    assert (found["status"], found["fitness"]) == ("diverged", None)
    assert found["reason"] == "2 of 312 embeddings are not finite"
    assert set(found) == KEYS == set(diverged("loss is NaN", SETTINGS))


def test_too_few_clips_are_told():
    """Else a tiny pool gives a fitness that is noise, or a traceback."""
    few = SETTINGS.model_copy(update={"zipf": SETTINGS.zipf.model_copy(update={"max_noise": 0.01})})
    with pytest.raises(UserError, match=r"fitness\.zipf\.clusters: 5 - allowed: at most 4, half of the 8 clips"):
        score(blobs([4, 4])[0], SETTINGS, 0)
    with pytest.raises(
        UserError, match=r"fitness\.zipf\.max_noise: 0\.01 - .*noise is 0\.0128 with 5 clusters and 312"
    ):
        score(blobs(ZIPF)[0], few, 0)
    with pytest.raises(UserError, match="half of the 0 clips"):
        score(np.zeros((0, 4)), SETTINGS, 0)


@pytest.mark.parametrize("measure", ["nmi", "ari", "accuracy"])
def test_weak_fitness_is_agreement_with_classes(measure):
    """Else the weak fitness does not follow the labels."""
    vectors, labels = blobs([30, 30, 30, 30], seed=1)
    found = score(blobs(ZIPF)[0], weak_settings(measure), 0, vectors, labels)
    assert found["fitness"] == pytest.approx(1.0)
    assert found["zipf"] is not None
    shuffled = np.random.default_rng(0).permutation(labels)
    worse = score(blobs(ZIPF)[0], weak_settings(measure), 0, vectors, shuffled)
    assert worse["fitness"] == worse["weak"][measure] < 0.5


def test_weak_measure_of_one_class_or_without_finite_vectors():
    """Else agreement with a single class is a perfect score."""
    vectors, labels = blobs([30, 30], seed=1)
    with pytest.raises(UserError, match="fewer than two classes"):
        score(blobs(ZIPF)[0], weak_settings("nmi"), 0, vectors, np.zeros(60, int))
    vectors[0] = np.nan
    assert score(blobs(ZIPF)[0], weak_settings("nmi"), 0, vectors, labels)["status"] == "diverged"


def test_controls_without_content_never_pass():
    """Else a fitness does not distinguish a network from noise."""
    found = {name: score(values, SETTINGS, 0) for name, values in control_features(312, 32, 0).items()}
    assert {name: one["status"] for name, one in found.items()} == {"constant": "collapsed", "gaussian": "unstable"}


def test_mixed_fitness_is_the_weighted_sum_of_both_measures():
    """Else a search by both is one by something else."""
    vectors, labels = blobs(ZIPF)
    mixed = FitnessSettings.model_validate(
        {
            "measure": "mix",
            "mix": {"zipf": 2, "weak": 0.25},
            "zipf": {"clusters": CLUSTERS},
            "weak": {"collection": "c"},
        }
    )
    random = np.random.default_rng(0)
    found = score(vectors, mixed, 0, vectors, random.permutation(labels))
    assert 0 < found["weak"]["nmi"] < 0.2
    assert found["fitness"] == pytest.approx(-2 * found["zipf"]["kl"] + 0.25 * found["weak"]["nmi"], abs=1e-6)
    assert score(vectors, mixed, 0, vectors, labels)["fitness"] > found["fitness"] + 0.2
    with pytest.raises(ValueError, match="measure mix needs weak_embeddings"):
        score(vectors, mixed, 0)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"measure": "mix"}, "weak: missing; measure mix needs"),
        ({"measure": "mix", "weak": {"collection": "c"}, "mix": {"zipf": 0, "weak": 0}}, "at least one above 0"),
        ({"zipf": {"normalise": "l2"}}, "zipf.normalise"),
    ],
)
def test_settings_of_a_fitness_that_cannot_be_are_told(given, told):
    with pytest.raises(ValueError, match=told):
        FitnessSettings.model_validate(given)


def test_distances_are_taken_as_the_normalisation_says():
    """Checked through a shift, which only `centred` removes, and a factor, which only `none` keeps."""
    vectors, _ = blobs(ZIPF, spread=0.3)

    def kl(values, how):
        zipf = SETTINGS.zipf.model_copy(update={"normalise": how})
        loose = SETTINGS.model_copy(update={"zipf": zipf, "min_stability": 0.0})
        return score(values, loose, 0)["zipf"]["kl"]

    shift = np.full(vectors.shape[1], 5.0, np.float32)
    assert kl(vectors + shift, "centred") == pytest.approx(kl(vectors, "centred"), abs=1e-4)
    assert abs(kl(vectors + shift, "unit") - kl(vectors, "unit")) > 0.05
    assert kl(3 * vectors, "unit") == pytest.approx(kl(vectors, "unit"), abs=1e-5)
    assert abs(kl(0.1 * vectors, "none") - kl(vectors, "none")) > 0.05
    assert kl(vectors + shift, "none") == pytest.approx(kl(vectors, "none"), abs=1e-4)
