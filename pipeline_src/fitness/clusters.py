"""Clusters of embeddings: the k-means that fitness and evaluation share."""

import warnings
from contextlib import AbstractContextManager

import numpy as np
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

RESTARTS = 10


def one_thread() -> AbstractContextManager[object]:
    """Inside this block BLAS and OpenMP use one thread.

    With more, sums are added in another order, and the last digits differ from run to run.
    """
    limits: AbstractContextManager[object] = threadpool_limits(1)
    return limits


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """Vectors of shape (N, D) scaled to Euclidean length 1, as float64; a zero vector stays zero.

    Squared distances are then within [0, 4] whatever the network, so that one temperature fits all.
    """
    wide = np.asarray(vectors, np.float64)
    lengths = np.linalg.norm(wide, axis=1, keepdims=True)
    return wide / np.where(lengths > 0, lengths, 1.0)


def normalised(vectors: np.ndarray, how: str) -> np.ndarray:
    """Vectors (N, D) as float64: `unit` of length 1, `centred` the same around their mean, `none` as they are."""
    wide = np.asarray(vectors, np.float64)
    return wide if how == "none" else unit_rows(wide - wide.mean(0) if how == "centred" else wide)


def halves(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows 0..count-1 dealt to two disjoint random parts of count // 2 and the rest, each sorted."""
    order = np.random.default_rng([seed, count, 3]).permutation(count)
    return np.sort(order[: count // 2]), np.sort(order[count // 2 :])


def fit_centroids(vectors: np.ndarray, clusters: int, seed: int, restarts: int = RESTARTS) -> np.ndarray:
    """Centroids of k-means, shape (clusters, D): the best of `restarts` runs with k-means++ starts."""
    with one_thread(), warnings.catch_warnings():
        # Fewer distinct points than clusters: some centroids coincide, which is a fair answer here.
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = KMeans(clusters, n_init=restarts, random_state=seed).fit(np.asarray(vectors, np.float64))
    return np.asarray(found.cluster_centers_)


def squared_distances(vectors: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """Squared Euclidean distances of (N, D) vectors to (k, D) centroids, shape (N, k)."""
    with one_thread():
        products = vectors @ centroids.T
    lengths = np.square(vectors).sum(1)[:, None] + np.square(centroids).sum(1)[None]
    return np.asarray(np.maximum(lengths - 2 * products, 0))


def nearest(vectors: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """Number of the nearest centroid of each vector, shape (N,)."""
    return np.asarray(squared_distances(vectors, centroids).argmin(1))
