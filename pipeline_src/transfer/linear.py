"""Evaluation by one fully-connected layer with softmax on frozen features."""

import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from pipeline_src.fitness.clusters import one_thread
from pipeline_src.settings.transfer import LinearSettings
from pipeline_src.transfer.split import LabelledVectors, Prediction
from pipeline_src.transfer.validation import fitting_and_validation

MAX_ITERATIONS = 1000


def predict_by_layer(data: LabelledVectors, settings: LinearSettings, seed: int) -> Prediction:
    """Logistic regression: C chosen on validation clips, final fit on training and validation clips.

    Validation clips are those that the split names; where there are none, a part of the training clips that
    shares no source video with the rest. Of equally good C the smallest is taken. Test labels play no part.

    Args:
        data: standardised vectors.
        settings: values of C, and the validation part's size.
        seed: deals source videos to the validation part.
    """
    fitting, validation = fitting_and_validation(data, settings.validation, seed)
    values = sorted(settings.inverse_regularisation)
    chosen, scores = values[len(values) // 2], {}
    if len(values) > 1 and validation.any() and len(np.unique(data.labels[fitting])) > 1:
        for value in values:
            model = fit_layer(data, fitting, value)
            scores[f"{value:g}"] = round(float(model.score(data.vectors[validation], data.labels[validation])), 6)
        chosen = max(values, key=lambda value: (scores[f"{value:g}"], -value))
    training = data.pick("train", "validation")
    model = fit_layer(data, training, chosen)
    return Prediction(
        labels=model.predict(data.vectors[data.pick("test")]),
        train_clips=int(training.sum()),
        details={
            "inverse_regularisation": chosen,
            "validation_clips": int(validation.sum()),
            "validation_top1": scores,
            "train_top1": round(float(model.score(data.vectors[training], data.labels[training])), 6),
            "converged": bool(model.n_iter_.max() < MAX_ITERATIONS),
        },
    )


def fit_layer(data: LabelledVectors, rows: np.ndarray, inverse_regularisation: float) -> LogisticRegression:
    """The layer that learns from these rows, (N,) boolean."""
    with one_thread(), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # told by `converged` in the result
        model = LogisticRegression(C=inverse_regularisation, max_iter=MAX_ITERATIONS)
        return model.fit(data.vectors[rows], data.labels[rows])
