"""Fitness of features that know nothing, to stand beside every search: what they reach means nothing."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from pipeline_src.fitness.score import score
from pipeline_src.settings.search import FitnessSettings


def control_features(clips: int, dimensions: int, seed: int) -> dict[str, np.ndarray]:
    """Features without content, each (clips, dimensions) float32.

    constant    every clip the same vector, as a collapsed network gives
    gaussian    independent normal values, without any structure
    """
    random = np.random.default_rng([seed, clips, dimensions, 4])
    constant = np.tile(random.standard_normal(dimensions), (clips, 1))
    gaussian = random.standard_normal((clips, dimensions))
    return {"constant": constant.astype(np.float32), "gaussian": gaussian.astype(np.float32)}


def score_controls(
    settings: FitnessSettings,
    seed: int,
    *,
    clips: int,
    dimensions: int,
    features: Mapping[str, np.ndarray] | None = None,
) -> list[dict[str, Any]]:
    """Fitness of the controls under the search's own settings; only the Zipf measure, which needs no labels.

    Args:
        settings: the search's.
        seed: as for `score`.
        clips, dimensions: shape of the features made here; that of the individuals' embeddings.
        features: further ones by name, (N, D) each: raw pixel means, embeddings of an untrained network.

    Returns:
        One row per control: `control`, then the content of a fitness.json.

    Raises:
        UserError: as `score`.
    """
    unlabelled = settings.model_copy(update={"measure": "zipf"})
    controls = {**control_features(clips, dimensions, seed), **(features or {})}
    return [{"control": name, **score(values, unlabelled, seed)} for name, values in controls.items()]
