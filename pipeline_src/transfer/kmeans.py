"""Evaluation by k-means: clusters of frozen features, each named after a class."""

import numpy as np

from pipeline_src.errors import UserError
from pipeline_src.fitness.agreement import contingency, matched_classes
from pipeline_src.fitness.clusters import fit_centroids, nearest
from pipeline_src.settings.transfer import KmeansSettings
from pipeline_src.transfer.split import LabelledVectors, Prediction


def predict_by_clusters(data: LabelledVectors, settings: KmeansSettings, seed: int) -> Prediction:
    """Cluster training and validation clips, name each cluster after a class, give test clips the nearest's.

    The matching is the best one on the training and validation labels (Hungarian algorithm), with
    `clusters_per_class` clusters for every class. Nothing is chosen, so validation clips serve as training.

    Args:
        data: vectors are clustered as they are: scale them before.
        settings: number of clusters and of restarts.
        seed: of the k-means starts.

    Raises:
        UserError: more clusters than training clips.
    """
    training = data.pick("train", "validation")
    names, classes = np.unique(data.labels[training], return_inverse=True)
    clusters = settings.clusters_per_class * len(names)
    if clusters > training.sum():
        raise UserError(
            f"transfer.kmeans.clusters_per_class: {settings.clusters_per_class} - gives {clusters} clusters"
            f" for the {training.sum()} training clips of {data.collection}; allowed: at most as many"
        )
    centroids = fit_centroids(data.vectors[training], clusters, seed, settings.restarts)
    found = nearest(data.vectors[training], centroids)
    matched = matched_classes(contingency(found, classes, (clusters, len(names))), settings.clusters_per_class)
    return Prediction(
        labels=names[matched[nearest(data.vectors[data.pick("test")], centroids)]],
        train_clips=int(training.sum()),
        details={"clusters": clusters, "train_top1": round(float((matched[found] == classes).mean()), 6)},
    )
