"""Evaluate frozen embeddings by one fully-connected layer on one split of a labelled collection."""

from pipeline_src.settings.base import Settings
from pipeline_src.settings.transfer import LinearSettings
from pipeline_src.stages.command import run
from pipeline_src.stages.frozen import evaluate_embeddings
from pipeline_src.transfer.linear import predict_by_layer
from pipeline_src.transfer.split import LabelledVectors, Prediction, standardised


class StageSettings(Settings):
    """What the evaluation depends on."""

    linear: LinearSettings


def predict(data: LabelledVectors, settings: StageSettings, seed: int) -> Prediction:
    """Embeddings are standardised per dimension."""
    return predict_by_layer(standardised(data), settings.linear, seed)


def main() -> None:
    """Parse, evaluate, write."""
    evaluate_embeddings(__doc__, StageSettings, "linear", predict)


if __name__ == "__main__":
    run(main)
