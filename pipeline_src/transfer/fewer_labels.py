"""Fewer labels: a part of a split's training clips keeps its labels, the rest is left out."""

import re
from dataclasses import replace

import numpy as np

from pipeline_src.errors import UserError
from pipeline_src.transfer.split import LabelledVectors

ALL = "all"
BUDGET = re.compile(r"([1-9][0-9]{0,5})(shot|pct)")


def with_fewer_labels(data: LabelledVectors, budget: str, seed: int) -> LabelledVectors:
    """A split whose training part keeps the labels of a few clips; validation clips count as training clips.

    Of every class the first of its clips in a random order are kept, at least one, so that a smaller budget's clips
    are among a larger one's. A class with fewer clips than shots keeps them all.

    Args:
        data: the split.
        budget: "all"; "5shot" for five labelled clips of every class; "10pct" for a tenth of each class.
        seed: of the order.

    Raises:
        UserError: no such budget.
    """
    if budget == ALL:
        return data
    found = BUDGET.fullmatch(budget)
    if found is None or (found[2] == "pct" and int(found[1]) >= 100):
        raise UserError(f"labels: {budget!r} - allowed: all, such as 5shot, or 1pct to 99pct")
    training = data.pick("train", "validation")
    random = np.random.default_rng([seed, 7])
    kept = np.zeros(len(training), bool)
    for name in np.unique(data.labels[training]):
        own = random.permutation(np.flatnonzero(training & (data.labels == name)))
        count = int(found[1]) if found[2] == "shot" else max(1, round(int(found[1]) / 100 * len(own)))
        kept[own[:count]] = True
    parts = np.where(training, np.where(kept, "train", "unused"), data.parts)
    return replace(data, parts=parts)
