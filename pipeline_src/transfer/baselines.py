"""What a classifier reaches without a network: by the clips' length, and by their pixels."""

from typing import Any

import numpy as np

from pipeline_src.embedding.pixels import pixel_features
from pipeline_src.settings.transfer import KmeansSettings, LinearSettings, RetrievalSettings
from pipeline_src.shards.index import Collection
from pipeline_src.transfer.kmeans import predict_by_clusters
from pipeline_src.transfer.linear import predict_by_layer
from pipeline_src.transfer.retrieval import predict_by_neighbours
from pipeline_src.transfer.split import labelled_vectors, result, split_clips, standardised

FRAME_COUNT, RAW_PIXELS = "frame count", "raw pixels"


def baselines(
    collection: Collection,
    split: int,
    kmeans: KmeansSettings,
    linear: LinearSettings,
    retrieval: RetrievalSettings,
    seed: int,
) -> list[dict[str, Any]]:
    """Results of both baselines by k-means and by one layer, of pixels also by retrieval, on standardised features."""
    clips = split_clips(collection, split)
    found: list[dict[str, Any]] = []
    for entry, features in (
        (FRAME_COUNT, clips["frames"].to_numpy(np.float64)[:, None]),
        (RAW_PIXELS, pixel_features(collection, clips)),
    ):
        data = standardised(labelled_vectors(collection, split, clips, features))
        predictions = {
            "kmeans": predict_by_clusters(data, kmeans, seed),
            "linear": predict_by_layer(data, linear, seed),
        }
        if entry == RAW_PIXELS:  # A single number has no direction to compare.
            predictions["retrieval"] = predict_by_neighbours(data, retrieval)
        for method, prediction in predictions.items():
            found.append(result(data, entry=entry, seed=seed, method=method, prediction=prediction))
    return found
