"""rho-SwAV: predict a clip's cluster from its other temporal crops, clusters being balanced within the batch."""

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline_src.batches.views import View
from pipeline_src.networks.heads import Projector
from pipeline_src.tasks.contrast import unit
from pipeline_src.tasks.sinkhorn import balanced
from pipeline_src.tasks.term import Inputs, Outcome, Shapes, Term, TermSettings, agreement, modality_of

GROUP = "contrast"
TERMS = ("rgb.rho_swav",)
SETTINGS = {
    "rho": {"default": 2, "minimum": 2, "maximum": 4, "help": "temporal crops a clip; the authors' code takes 4"},
    "prototypes": {"default": 1000, "minimum": 2, "maximum": 100_000, "help": "clusters"},
    "epsilon": {"default": 0.05, "minimum": 0.001, "maximum": 10.0, "help": "softness of the assignments"},
    "iterations": {"default": 3, "minimum": 1, "maximum": 100, "help": "rounds of balancing"},
    "temperature": {"default": 0.1, "minimum": 0.001, "maximum": 10.0, "help": "divides the predicted scores"},
    "size": {"default": 128, "minimum": 2, "maximum": 65536, "help": "size of the projection"},
    "hidden": {"default": 2048, "minimum": 1, "maximum": 65536, "help": "size of the head's hidden layer"},
}
SOURCE = "Caron et al. 2020, Unsupervised Learning by Contrasting Cluster Assignments; Feichtenhofer et al. 2021"


class RhoSwavTerm(Term):
    """Mean over ordered pairs of crops of the cross-entropy of one's scores with the other's assignment.

    Args:
        modality: whose clips.
        settings: rho, prototypes, epsilon, iterations, temperature, size, hidden.
        shapes: sizes.
    """

    def __init__(self, modality: str, settings: TermSettings, shapes: Shapes) -> None:
        super().__init__()
        self.encoded = tuple(View(modality, f"crop{number}") for number in range(1, settings["rho"] + 1))
        self.epsilon, self.iterations = settings["epsilon"], settings["iterations"]
        self.temperature = settings["temperature"]
        self.head = Projector(shapes.embedding(modality), settings["hidden"], settings["size"], normalised=True)
        self.prototypes = nn.Parameter(unit(torch.randn(settings["prototypes"], settings["size"])))

    def forward(self, inputs: Inputs) -> Tensor | None:
        """The mean cross-entropy; None with a single clip, which cannot be normalised."""
        if len(inputs.videos) < 2:
            return None
        scores = [x @ unit(self.prototypes).T for x in self._projected(inputs)]
        codes = [balanced(score.detach(), 1 / self.epsilon, self.iterations) for score in scores]
        losses = [
            -(codes[b] * functional.log_softmax(scores[a] / self.temperature, 1)).sum(1).mean()
            for a, b in itertools.permutations(range(len(scores)), 2)
        ]
        return torch.stack(losses).mean()

    def outcome(self, inputs: Inputs) -> Outcome | None:
        """Right where the first crop's highest score is the second crop's assignment."""
        if len(inputs.videos) < 2:
            return None
        one, two, *_ = (x @ unit(self.prototypes).T for x in self._projected(inputs))
        return agreement(one.argmax(1), balanced(two, 1 / self.epsilon, self.iterations).argmax(1))

    def _projected(self, inputs: Inputs) -> list[Tensor]:
        return [unit(self.head(inputs.features[view].embedding)) for view in self.encoded]


def build(name: str, shapes: Shapes, settings: TermSettings) -> Term:
    """The term `{modality}.rho_swav`."""
    return RhoSwavTerm(modality_of(name), settings, shapes)
