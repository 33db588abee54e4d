"""Agreement of clusters with classes."""

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score


def contingency(clusters: np.ndarray, classes: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """How many items are in cluster i and class j, shape (number of clusters, number of classes).

    Args:
        clusters, classes: (N,) whole numbers from 0.
        shape: their numbers.
    """
    counts = np.zeros(shape, np.int64)
    np.add.at(counts, (clusters, classes), 1)
    return counts


def matched_classes(counts: np.ndarray, clusters_per_class: int = 1) -> np.ndarray:
    """Class of each cluster under the best matching (Hungarian algorithm), shape (clusters,); -1 where none.

    Args:
        counts: contingency table, (clusters, classes).
        clusters_per_class: how many clusters a class may have.
    """
    rows, columns = linear_sum_assignment(np.tile(counts, (1, clusters_per_class)), maximize=True)
    found = np.full(len(counts), -1)
    found[rows] = columns % counts.shape[1]
    return found


def agreement(clusters: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Normalised mutual information, adjusted Rand index, and accuracy of the best matching to classes.

    Args:
        clusters: (N,) whole numbers from 0.
        labels: (N,) class names or numbers.

    Returns:
        nmi in [0, 1] (arithmetic mean of the entropies), ari in [-0.5, 1], accuracy in [0, 1].
    """
    names, classes = np.unique(labels, return_inverse=True)
    counts = contingency(clusters, classes, (int(clusters.max()) + 1, len(names)))
    matched = matched_classes(counts)
    return {
        "nmi": round(float(normalized_mutual_info_score(classes, clusters)), 6),
        "ari": round(float(adjusted_rand_score(classes, clusters)), 6),
        "accuracy": round(float((matched[clusters] == classes).mean()), 6),
    }
