"""Zipf fitness: how far cluster proportions are from Zipf's law.

After Piergiovanni, Angelova and Ryoo, "Evolving Losses for Unsupervised Video Representation Learning",
CVPR 2020.
"""

from typing import Any

import numpy as np

from pipeline_src.fitness.clusters import squared_distances


def memberships(vectors: np.ndarray, centroids: np.ndarray, temperature: float) -> np.ndarray:
    """p(c_i | x) = exp(-|x - c_i|^2 / t) / sum_j exp(-|x - c_j|^2 / t), shape (N, k); rows sum to 1.

    The paper's formula has t = 1 (equal-variance Gaussians with 2 sigma^2 = 1).
    """
    exponent = -squared_distances(vectors, centroids) / temperature
    weights = np.exp(exponent - exponent.max(1, keepdims=True))
    return np.asarray(weights / weights.sum(1, keepdims=True))


def zipf_law(clusters: int, exponent: float) -> np.ndarray:
    """q(c_i) = i^-s / H_{k,s} for ranks i = 1..k, shape (k,), summing to 1."""
    terms = np.arange(1, clusters + 1, dtype=np.float64) ** -exponent
    return np.asarray(terms / terms.sum())


def divergence(proportions: np.ndarray, law: np.ndarray) -> float:
    """KL(p || q) = sum_i p_i ln(p_i / q_i) in nats, 0 or more; a cluster with p_i = 0 adds 0."""
    present = proportions > 0
    return float(np.sum(proportions[present] * np.log(proportions[present] / law[present])))


def estimate_noise(clusters: int, clips: int) -> float:
    """(k - 1) / 2N: what the KL of N draws from the law itself would be on average, in nats."""
    return (clusters - 1) / (2 * clips)


def zipf_divergence(
    vectors: np.ndarray, centroids: np.ndarray, *, exponent: float, temperature: float
) -> dict[str, Any]:
    """Divergence of the clusters' proportions, sorted descending, from Zipf's law.

    Args:
        vectors: (N, D) of length 1, none of which the centroids were fitted on.
        centroids: (k, D).
        exponent: s of the law.
        temperature: t of the memberships.

    Returns:
        kl, noise (both in nats), clusters, proportions (largest first).
    """
    clusters = len(centroids)
    proportions = np.sort(memberships(vectors, centroids, temperature).mean(0))[::-1]
    return {
        "kl": round(divergence(proportions, zipf_law(clusters, exponent)), 6),
        "noise": round(estimate_noise(clusters, len(vectors)), 6),
        "clusters": clusters,
        "proportions": [round(float(share), 6) for share in proportions],
    }
