"""Evaluate frozen embeddings by k-means on one split of a labelled collection."""

from pipeline_src.fitness.clusters import unit_rows
from pipeline_src.settings.base import Settings
from pipeline_src.settings.transfer import KmeansSettings
from pipeline_src.stages.command import run
from pipeline_src.stages.frozen import evaluate_embeddings
from pipeline_src.transfer.kmeans import predict_by_clusters
from pipeline_src.transfer.split import LabelledVectors, Prediction


class StageSettings(Settings):
    """What the evaluation depends on."""

    kmeans: KmeansSettings


def predict(data: LabelledVectors, settings: StageSettings, seed: int) -> Prediction:
    """Embeddings are scaled to length 1, as for the fitness."""
    return predict_by_clusters(data.with_vectors(unit_rows(data.vectors)), settings.kmeans, seed)


def main() -> None:
    """Parse, evaluate, write."""
    evaluate_embeddings(__doc__, StageSettings, "kmeans", predict)


if __name__ == "__main__":
    run(main)
