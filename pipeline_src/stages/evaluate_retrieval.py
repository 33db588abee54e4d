"""Evaluate frozen embeddings by nearest neighbours on one split of a labelled collection."""

from pipeline_src.settings.base import Settings
from pipeline_src.settings.transfer import RetrievalSettings
from pipeline_src.stages.command import run
from pipeline_src.stages.frozen import evaluate_embeddings
from pipeline_src.transfer.retrieval import predict_by_neighbours
from pipeline_src.transfer.split import LabelledVectors, Prediction


class StageSettings(Settings):
    """What the evaluation depends on."""

    retrieval: RetrievalSettings


def predict(data: LabelledVectors, settings: StageSettings, seed: int) -> Prediction:
    """Nothing is random."""
    return predict_by_neighbours(data, settings.retrieval)


def main() -> None:
    """Parse, evaluate, write."""
    evaluate_embeddings(__doc__, StageSettings, "retrieval", predict)


if __name__ == "__main__":
    run(main)
