"""Evaluate frozen embeddings by one fully-connected layer that learns from a part of the labels."""

from pipeline_src.settings.base import Settings
from pipeline_src.settings.transfer import LinearSettings
from pipeline_src.stages.command import run
from pipeline_src.stages.frozen import evaluate_embeddings
from pipeline_src.transfer.linear import predict_by_layer
from pipeline_src.transfer.split import LabelledVectors, Prediction, standardised


class StageSettings(Settings):
    """What the evaluation depends on."""

    linear: LinearSettings
    labels: tuple[str, ...]


def predict(data: LabelledVectors, settings: StageSettings, seed: int) -> Prediction:
    """Embeddings are standardised per dimension."""
    return predict_by_layer(standardised(data), settings.linear, seed)


def main() -> None:
    """Parse, evaluate, write."""
    evaluate_embeddings(__doc__, StageSettings, "linear", predict, lambda settings: settings.labels)


if __name__ == "__main__":
    run(main)
