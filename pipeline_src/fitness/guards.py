"""Guards of the fitness: an embedding that has collapsed, or clusters that are not there, must not win."""

import numpy as np
from sklearn.metrics import adjusted_rand_score

from pipeline_src.fitness.clusters import nearest, one_thread

# Spread that is smaller than this part of the vectors' own length is rounding of 32-bit floats.
ROUNDING = 1e-6


def effective_rank(vectors: np.ndarray) -> float:
    """exp of the entropy of the centred vectors' normalised singular values (Roy and Vetterli 2007, eq. 4-6).

    Args:
        vectors: (N, D).

    Returns:
        1 for points on a line, up to min(N - 1, D) for equal spread in all directions; 0 when all are equal.
    """
    wide = np.asarray(vectors, np.float64)
    with one_thread():
        values = np.linalg.svd(wide - wide.mean(0), compute_uv=False)
    if values[0] <= ROUNDING * np.linalg.norm(wide):
        return 0.0
    shares = values[values > 0] / values.sum()
    return float(np.exp(-np.sum(shares * np.log(shares))))


def stability(vectors: np.ndarray, first: np.ndarray, second: np.ndarray) -> float:
    """Adjusted Rand index of two k-means, fitted on disjoint halves of the clips and applied to all of them.

    Args:
        vectors: (N, D).
        first, second: centroids, (k, D) each.

    Returns:
        1 for the same clusters, about 0 for clusters that depend on the sample only.
    """
    return float(adjusted_rand_score(nearest(vectors, first), nearest(vectors, second)))
