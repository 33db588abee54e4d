"""Relative position: which of the eight neighbours of a clip's middle is this piece (cross-entropy)?"""

import torch
from torch import Tensor
from torch.nn import functional

from pipeline_src.batches.views import View
from pipeline_src.networks.heads import Classifier
from pipeline_src.tasks.term import Inputs, Outcome, Shapes, Term, TermSettings, accuracy, modality_of

GROUP = "space"
TERMS = ("rgb.relative_position",)
SETTINGS = {"hidden": {"default": 512, "minimum": 1, "maximum": 65536, "help": "size of the head's hidden layer"}}
SOURCE = "Doersch et al. 2015, Unsupervised Visual Representation Learning by Context Prediction"

PIECES, MIDDLE = 9, 4
NEIGHBOURS = (0, 1, 2, 3, 5, 6, 7, 8)


class RelativePositionTerm(Term):
    """The middle piece and one other, side by side, tell where the other lies.

    Args:
        modality: whose clips.
        hidden: size of the head's hidden layer.
        shapes: sizes.
    """

    def __init__(self, modality: str, hidden: int, shapes: Shapes) -> None:
        super().__init__()
        self.encoded = (View(modality, "pieces", (3,)),)
        self.head = Classifier(2 * shapes.embedding(modality), hidden, len(NEIGHBOURS))

    def forward(self, inputs: Inputs) -> Tensor:
        """The mean cross-entropy."""
        logits, labels = self._answers(inputs)
        return functional.cross_entropy(logits, labels)

    def outcome(self, inputs: Inputs) -> Outcome:
        """Right where the neighbour's logit is the highest."""
        logits, labels = self._answers(inputs)
        return accuracy(logits.argmax(1) == labels, 1 / len(NEIGHBOURS))

    def _answers(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        pieces = inputs.features[self.encoded[0]].embedding.unflatten(0, (-1, PIECES))
        labels = inputs.draws("relative_position").whole(len(NEIGHBOURS))
        places = torch.tensor(NEIGHBOURS, device=pieces.device)[labels]
        other = pieces[torch.arange(len(pieces), device=pieces.device), places]
        return self.head(torch.cat([pieces[:, MIDDLE], other], 1)), labels


def build(name: str, shapes: Shapes, settings: TermSettings) -> Term:
    """The term `{modality}.relative_position`."""
    return RelativePositionTerm(modality_of(name), settings["hidden"], shapes)
