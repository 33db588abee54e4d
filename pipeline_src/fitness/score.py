"""The fitness of an individual from its embeddings: the content of fitness.json."""

from typing import Any

import numpy as np

from pipeline_src.errors import UserError
from pipeline_src.fitness.agreement import agreement
from pipeline_src.fitness.clusters import fit_centroids, halves, nearest, normalised, unit_rows
from pipeline_src.fitness.guards import effective_rank, stability
from pipeline_src.fitness.zipf import estimate_noise, zipf_divergence
from pipeline_src.settings.search import FitnessSettings


def score(
    embeddings: np.ndarray,
    settings: FitnessSettings,
    seed: int,
    weak_embeddings: np.ndarray | None = None,
    weak_labels: np.ndarray | None = None,
) -> dict[str, Any]:
    """Judge embeddings. The effective rank and the weak measure see them scaled to length 1.

    k-means is fitted on a random half of the clips, and the proportions come from the other half.

    Args:
        embeddings: (N, D) of pool clips.
        settings: measure, its parameters and the guards' floors.
        seed: halves and k-means starts derive from it.
        weak_embeddings: (M, D) of labelled training clips; needed for measures weak and mix, else reported if given.
        weak_labels: (M,) their classes.

    Returns:
        fitness (higher is better, null: none), status (ok, diverged, collapsed, unstable), reason, measure,
        clips, zipf, weak, effective_rank and stability. Zipf fitness is minus the divergence in nats.

    Raises:
        UserError: too few clips for the clusters or for the accepted noise, or a single class.
    """
    count = len(embeddings)
    check_counts(count, settings)
    _check_weak(weak_embeddings, weak_labels)
    broken = _not_finite(embeddings) + (_not_finite(weak_embeddings) if weak_embeddings is not None else 0)
    if broken:
        total = count + (len(weak_embeddings) if weak_embeddings is not None else 0)
        return diverged(f"{broken} of {total} embeddings are not finite", settings, count)
    result = _result(settings, count)
    rank = effective_rank(unit_rows(embeddings))
    result["effective_rank"] = round(rank, 6)
    if rank == 0 or rank < settings.min_effective_rank:
        result["status"] = "collapsed"
        result["reason"] = (
            f"effective rank {rank:.3g} is below fitness.min_effective_rank {settings.min_effective_rank:g}"
        )
        return result
    zipf = settings.zipf
    vectors = normalised(embeddings, zipf.normalise)
    first, second = halves(count, seed)
    fitted, control = (fit_centroids(vectors[half], zipf.clusters, seed) for half in (first, second))
    result["zipf"] = zipf_divergence(vectors[second], fitted, exponent=zipf.exponent, temperature=zipf.temperature)
    if weak_embeddings is not None and weak_labels is not None:
        result["weak"] = _weak(weak_embeddings, weak_labels, seed)
    result["stability"] = round(stability(vectors, fitted, control), 6)
    # The index of clusters that agree less than by chance is below 0; a floor of 0 is none.
    if result["stability"] < settings.min_stability and settings.min_stability > 0:
        result["status"] = "unstable"
        result["reason"] = (
            f"clusters of the two halves agree by {result['stability']:.3g}, below fitness.min_stability"
            f" {settings.min_stability:g}"
        )
        return result
    result["fitness"] = _fitness(result, settings)
    result["status"] = "ok"
    return result


def _fitness(result: dict[str, Any], settings: FitnessSettings) -> float:
    zipf = -float(result["zipf"]["kl"])
    if settings.measure == "zipf":
        return zipf
    if result["weak"] is None or settings.weak is None:
        raise ValueError(f"measure {settings.measure} needs weak_embeddings and weak_labels")
    weak = float(result["weak"][settings.weak.measure])
    return weak if settings.measure == "weak" else round(settings.mix.zipf * zipf + settings.mix.weak * weak, 6)


def diverged(reason: str, settings: FitnessSettings, clips: int = 0) -> dict[str, Any]:
    """The result of an individual without usable embeddings, such as one whose training gave NaN."""
    return {**_result(settings, clips), "status": "diverged", "reason": reason}


def _result(settings: FitnessSettings, clips: int) -> dict[str, Any]:
    return {
        "fitness": None,
        "status": "",
        "reason": "",
        "measure": settings.measure,
        "clips": clips,
        "zipf": None,
        "weak": None,
        "effective_rank": None,
        "stability": None,
    }


def _weak(embeddings: np.ndarray, labels: np.ndarray, seed: int) -> dict[str, Any]:
    vectors = unit_rows(embeddings)
    classes = len(np.unique(labels))
    clusters = nearest(vectors, fit_centroids(vectors, classes, seed))
    return {**agreement(clusters, labels), "classes": classes, "clips": len(labels)}


def _not_finite(vectors: np.ndarray) -> int:
    return int((~np.isfinite(vectors)).any(axis=1).sum())


def check_counts(count: int, settings: FitnessSettings) -> None:
    """Whether so many clips suffice for the fitness.

    Raises:
        UserError: too few for the clusters or for the accepted noise.
    """
    clusters, limit = settings.zipf.clusters, settings.zipf.max_noise
    if clusters > count // 2:
        raise UserError(
            f"fitness.zipf.clusters: {clusters} - allowed: at most {count // 2}, half of the {count} clips"
            " embedded; lower it or add clips to the pool"
        )
    noise = estimate_noise(clusters, count - count // 2)
    if settings.measure != "weak" and noise > limit:
        raise UserError(
            f"fitness.zipf.max_noise: {limit:g} - the estimate's noise is {noise:.3g} with"
            f" {clusters} clusters and {count} clips; add clips to the pool, lower fitness.zipf.clusters or"
            " accept more noise"
        )


def _check_weak(embeddings: np.ndarray | None, labels: np.ndarray | None) -> None:
    if embeddings is None or labels is None:
        return
    if len(embeddings) != len(labels):
        raise ValueError(f"{len(embeddings)} weak embeddings, {len(labels)} labels")
    check_classes(labels)


def check_classes(labels: np.ndarray) -> None:
    """Whether clusters can agree with them.

    Raises:
        UserError: a single class.
    """
    if len(np.unique(labels)) < 2:
        raise UserError(
            "fitness.weak.collection: its training clips have fewer than two classes - allowed: two or more"
        )
