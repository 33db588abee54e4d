"""Shuffle and learn: are three frames, taken where the clip moves, in the order of time (binary cross-entropy)?"""

import torch
from torch import Tensor
from torch.nn import functional

from pipeline_src.batches.views import View
from pipeline_src.networks.heads import Classifier
from pipeline_src.tasks.frames import frame_embeddings, moving_frames, picked
from pipeline_src.tasks.term import Inputs, Outcome, Shapes, Term, TermSettings, accuracy, modality_of, usable_rows

GROUP = "time"
MINIMUM_FRAMES = 5
TERMS = ("rgb.shuffle_and_learn",)
SETTINGS = {"hidden": {"default": 256, "minimum": 1, "maximum": 65536, "help": "size of the head's hidden layer"}}
SOURCE = "Misra et al. 2016, Shuffle and Learn"

# Of five frames a to e: the middle three in order, either way; or with the first or last between them.
ORDERED = ((1, 2, 3), (3, 2, 1))
UNORDERED = ((1, 0, 3), (1, 4, 3), (3, 0, 1), (3, 4, 1))


class ShuffleAndLearnTerm(Term):
    """Binary cross-entropy of an ordered and an unordered triple of each clip.

    Args:
        modality: whose clips.
        hidden: size of the head's hidden layer.
        shapes: sizes; windows have at least five frames.
    """

    def __init__(self, modality: str, hidden: int, shapes: Shapes) -> None:
        super().__init__()
        self.encoded = (View(modality, "frames"),)
        self.targets = (View(modality),)
        self.frames = shapes.frames
        self.head = Classifier(3 * shapes.embedding(modality), hidden, 1)

    def forward(self, inputs: Inputs) -> Tensor | None:
        """The mean over both triples of all clips; None where no clip is long enough."""
        logits, labels = self._logits(inputs)
        return functional.binary_cross_entropy_with_logits(logits, labels) if len(labels) else None

    def outcome(self, inputs: Inputs) -> Outcome | None:
        """Right where the logit has the label's sign."""
        logits, labels = self._logits(inputs)
        return accuracy((logits > 0) == (labels > 0), 0.5) if len(labels) else None

    def _logits(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        frames = frame_embeddings(inputs, self.encoded[0], self.frames)
        rows = usable_rows(inputs, self.encoded[0])
        chosen = picked(frames, moving_frames(inputs.targets[self.targets[0]], 5))[rows]
        draws = inputs.draws("shuffle_and_learn")
        triples = []
        for kind in (ORDERED, UNORDERED):
            orders = torch.tensor(kind, device=chosen.device)[draws.whole(len(kind))[rows]]
            triples.append(picked(chosen, orders).flatten(1))
        logits = self.head(torch.cat(triples)).squeeze(1)
        ones = torch.ones_like(logits[: len(chosen)])
        return logits, torch.cat([ones, torch.zeros_like(ones)])


def build(name: str, shapes: Shapes, settings: TermSettings) -> Term:
    """The term `{modality}.shuffle_and_learn`."""
    return ShuffleAndLearnTerm(modality_of(name), settings["hidden"], shapes)
