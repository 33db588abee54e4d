"""Terms that tell a transformed clip from a plain one by binary cross-entropy."""

import torch
from torch import Tensor
from torch.nn import functional

from pipeline_src.batches.views import View
from pipeline_src.networks.heads import Classifier
from pipeline_src.tasks.term import Inputs, Shapes, Term


class RecogniseTerm(Term):
    """Plain (1) or transformed (0)?

    Args:
        modality: whose clips.
        transform: name of the transform.
        hidden: size of the head's hidden layer.
        shapes: sizes.
    """

    def __init__(self, modality: str, transform: str, hidden: int, shapes: Shapes) -> None:
        super().__init__()
        self.encoded = (View(modality, "plain"), View(modality, transform))
        self.head = Classifier(shapes.embedding(modality), hidden, 1)

    def forward(self, inputs: Inputs) -> Tensor:
        """Mean binary cross-entropy over both views."""
        plain, changed = (inputs.features[view].embedding for view in self.encoded)
        logits = self.head(torch.cat([plain, changed])).squeeze(1)
        labels = torch.cat([plain.new_ones(len(plain)), plain.new_zeros(len(changed))])
        return functional.binary_cross_entropy_with_logits(logits, labels)
