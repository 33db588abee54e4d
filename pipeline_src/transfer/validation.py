"""Clips to choose settings on, apart from those that are fitted."""

import numpy as np

from pipeline_src.transfer.split import LabelledVectors


def fitting_and_validation(data: LabelledVectors, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Training clips to fit and to choose on, (N,) boolean each.

    Those to choose on are the split's validation clips; where there are none, a part of the training clips that shares
    no source video with the rest.
    """
    fitting, validation = data.pick("train"), data.pick("validation")
    if not validation.any():
        validation = held_out(data.labels, data.groups, fitting, fraction, seed)
        fitting = fitting & ~validation
    return fitting, validation


def held_out(labels: np.ndarray, groups: np.ndarray, among: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """A part of some clips that shares no source video with the rest of them, spread over classes.

    Of every class about `fraction` of its source videos are taken, at least one and never all; a class with a
    single source video gives none. A source video counts for the class of its first clip.

    Args:
        labels, groups: (N,) class and source video of each clip.
        among: (N,) boolean, the clips to choose from.
        fraction: 0 to 1.
        seed: of the choice.

    Returns:
        (N,) boolean.
    """
    random = np.random.default_rng([seed, 5])
    videos, first = np.unique(groups[among], return_index=True)
    classes = labels[among][first]
    taken: list[str] = []
    for name in np.unique(classes):
        own = random.permutation(videos[classes == name])
        if len(own) > 1:
            taken.extend(own[: min(max(1, round(fraction * len(own))), len(own) - 1)])
    return np.asarray(among & np.isin(groups, taken))
