"""SeLa: label clips by balanced clusters of the network's own scores, and learn to predict the labels."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline_src.batches.views import View
from pipeline_src.tasks.contrast import Queue
from pipeline_src.tasks.sinkhorn import balanced
from pipeline_src.tasks.term import Inputs, Outcome, Shapes, Term, TermSettings, agreement, modality_of

GROUP = "contrast"
TERMS = ("rgb.sela",)
SETTINGS = {
    "clusters": {"default": 400, "minimum": 2, "maximum": 100_000, "help": "clusters; SeLaVi's number for Kinetics"},
    "sharpness": {"default": 20.0, "minimum": 0.01, "maximum": 1000.0, "help": "lambda of the balancing"},
    "iterations": {"default": 20, "minimum": 1, "maximum": 1000, "help": "rounds of balancing"},
    "memory": {"default": 4000, "minimum": 1, "maximum": 1_000_000, "help": "earlier clips that are balanced along"},
}
SOURCE = "Asano et al. 2020, Self-labelling via Simultaneous Clustering; SeLaVi (Asano et al. 2020b)"


class SelaTerm(Term):
    """Cross-entropy of one crop's scores with the hard label of another crop of the clip.

    The paper labels the whole set at times; here each step labels its batch, balanced together with the scores of
    the clips before it, so that labels follow the network.

    Args:
        modality: whose clips.
        settings: clusters, sharpness, iterations, memory.
        shapes: sizes.
    """

    def __init__(self, modality: str, settings: TermSettings, shapes: Shapes) -> None:
        super().__init__()
        self.encoded = (View(modality, "crop1"), View(modality, "crop2"))
        self.sharpness, self.iterations = settings["sharpness"], settings["iterations"]
        self.head = nn.Linear(shapes.embedding(modality), settings["clusters"])
        self.memory = Queue(settings["memory"], settings["clusters"])

    def forward(self, inputs: Inputs) -> Tensor:
        """Mean cross-entropy over both directions."""
        scores = self._scores(inputs)
        labels = [self._labels(score.detach()) for score in scores]
        parts = [functional.cross_entropy(scores[a], labels[1 - a]) for a in (0, 1)]
        return torch.stack(parts).mean()

    def outcome(self, inputs: Inputs) -> Outcome | None:
        """Right where the first crop's highest score is the second crop's label."""
        one, two = self._scores(inputs)
        if len(one) < 2:
            return None
        return agreement(one.argmax(1), self._labels(two))

    def remember(self, inputs: Inputs) -> None:
        """Keep the batch's scores."""
        self.memory.add(self._scores(inputs)[0].softmax(1).log(), inputs.videos)

    def _scores(self, inputs: Inputs) -> list[Tensor]:
        return [self.head(inputs.features[view].embedding) for view in self.encoded]

    def _labels(self, scores: Tensor) -> Tensor:
        """Labels (M,) of the batch, balanced together with the memory."""
        kept = self.memory.vectors[self.memory.videos >= 0].to(scores.dtype)
        probabilities = torch.cat([scores.log_softmax(1), kept])
        return balanced(probabilities, self.sharpness, self.iterations)[: len(scores)].argmax(1)


def build(name: str, shapes: Shapes, settings: TermSettings) -> Term:
    """The term `{modality}.sela`."""
    return SelaTerm(modality_of(name), settings, shapes)
