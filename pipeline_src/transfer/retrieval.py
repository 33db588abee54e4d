"""Nearest-neighbour retrieval: a test clip asks, training clips answer."""

import numpy as np

from pipeline_src.fitness.clusters import unit_rows
from pipeline_src.settings.transfer import RetrievalSettings
from pipeline_src.transfer.split import LabelledVectors, Prediction

RANKS = (1, 5, 10, 20, 50)
BLOCK = 256


def predict_by_neighbours(data: LabelledVectors, settings: RetrievalSettings) -> Prediction:
    """Name every test clip after its nearest training clip, and count how far down one of its class comes.

    Vectors are centred on the training clips and compared by cosine, as is usual in the field (Han, Xie and Zisserman
    2020, CoCLR). Nothing is chosen, so validation clips serve as training. Details of the prediction:

        recall: {k: share of test clips with one of their class among the k nearest}; k up to the training clips.
        knn_top1: of a vote of the nearest, weighted by exp(cosine / temperature) (Wu et al. 2018).
        knn_predictions: per test clip, the class that won the vote.
        neighbours: per test clip, the places of its nearest among the split's training and validation clips.

    Args:
        data: vectors are compared as they are, but for centring.
        settings: of the vote, and how many neighbours are kept.
    """
    training, test = data.pick("train", "validation"), data.pick("test")
    known, asked = data.labels[training], data.labels[test]
    names, classes = np.unique(known, return_inverse=True)
    ranks = [rank for rank in RANKS if rank <= len(known)]
    wanted = min(max(settings.neighbours, settings.kept, ranks[-1]), len(known))
    nearest, similarity = nearest_by_cosine(data.vectors[training], data.vectors[test], wanted)
    found = known[nearest] == asked[:, None]
    voters = min(settings.neighbours, len(known))
    votes = np.zeros((len(asked), len(names)))
    # The nearest counts 1: what is common to all weights would only overflow.
    weights = np.exp((similarity[:, :voters] - similarity[:, :1]) / settings.temperature)
    np.add.at(votes, (np.arange(len(asked))[:, None], classes[nearest[:, :voters]]), weights)
    voted = names[votes.argmax(1)]
    return Prediction(
        labels=known[nearest[:, 0]],
        train_clips=int(training.sum()),
        details={
            "recall": {str(rank): round(float(found[:, :rank].any(1).mean()), 6) for rank in ranks},
            "knn_top1": round(float((voted == asked).mean()), 6),
            "knn_predictions": [str(name) for name in voted],
            "neighbours": nearest[:, : settings.kept].tolist(),
        },
    )


def nearest_by_cosine(answers: np.ndarray, queries: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The nearest answers of each query, nearest first, of equally near ones the first.

    Args:
        answers: (N, D); their mean is subtracted from both.
        queries: (M, D).
        count: how many, 1 to N.

    Returns:
        (M, count) places in `answers` and (M, count) cosines; a vector equal to the mean has cosine 0 with all.
    """
    mean = answers.mean(0)
    known, asked = unit_rows(answers - mean), unit_rows(queries - mean)
    places, cosines = [], []
    for start in range(0, len(asked), BLOCK):
        # Rounded, so that which of equals is first does not hang on the order of a sum.
        similarity = np.round(asked[start : start + BLOCK] @ known.T, 9)
        order = np.argsort(-similarity, axis=1, kind="stable")[:, :count]
        places.append(order)
        cosines.append(np.take_along_axis(similarity, order, 1))
    return np.concatenate(places), np.concatenate(cosines)
