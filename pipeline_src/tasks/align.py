"""Align: are two streams of one clip synchronised, or is one shifted or from another clip (Korbar et al. 2018)?"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline_src.batches.views import View
from pipeline_src.networks.heads import Classifier
from pipeline_src.tasks.term import Inputs, Shapes, Term, TermSettings, matching, other_clip, pair_of

TERMS = ("audio~rgb.align", "flow~rgb.align")
SETTINGS = {
    "hidden": {
        "default": 64,
        "minimum": 1,
        "maximum": 65536,
        "help": "size of the joint space and of the hidden layer",
    },
    "negatives": {
        "default": "both",
        "choices": ["shifted", "other", "both"],
        "help": "unsynchronised pairs: shifted within the clip (hard), from another clip (easy), or both equally."
        " A clip too short to be shifted takes another clip",
    },
}


class AlignTerm(Term):
    """Binary cross-entropy of synchronised (1) against unsynchronised (0) pairs.

    Args:
        first: the modality that moves.
        second: the modality that stays.
        hidden: size of the joint space.
        negatives: shifted, other or both.
        shapes: sizes.
    """

    def __init__(self, first: str, second: str, hidden: int, negatives: str, shapes: Shapes) -> None:
        super().__init__()
        self.encoded = (View(first, "plain"), View(second, "plain"))
        if negatives != "other":
            self.encoded = (*self.encoded, View(first, "shifted"))
        self.negatives = negatives
        self.project_first = nn.Linear(shapes.embedding(first), hidden)
        self.project_second = nn.Linear(shapes.embedding(second), hidden)
        self.head = Classifier(2 * hidden, hidden, 1)

    def forward(self, inputs: Inputs) -> Tensor | None:
        """Mean over positives plus mean over negatives, halved; None with fewer than two clips."""
        first, second = matching(*(inputs.features[view] for view in self.encoded[:2]))
        moved, fixed = self.project_first(first.embedding), self.project_second(second.embedding)
        if len(fixed) < 2:
            return None
        wrong = [other_clip(moved)] if self.negatives != "shifted" else []
        if self.negatives != "other":
            shiftable = inputs.shiftable if first.rows is None else inputs.shiftable[first.rows]
            shifted = self.project_first(inputs.features[self.encoded[2]].embedding)
            wrong.append(torch.where(shiftable[:, None], shifted, other_clip(moved)))
        positive = functional.softplus(-self._logits(moved, fixed)).mean()
        negative = torch.stack([functional.softplus(self._logits(part, fixed)).mean() for part in wrong]).mean()
        return (positive + negative) / 2

    def _logits(self, first: Tensor, second: Tensor) -> Tensor:
        return self.head(torch.cat([first, second], dim=1)).squeeze(1)


def build(name: str, shapes: Shapes, settings: TermSettings) -> Term:
    """The term `{first}~{second}.align`."""
    first, second = pair_of(name, "~")
    return AlignTerm(first, second, settings["hidden"], settings["negatives"], shapes)
