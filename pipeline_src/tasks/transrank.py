"""TransRank: a video's clips at normal, double and reversed speed, each scored highest for its own (margin ranking)."""

import torch
from torch import Tensor
from torch.nn import functional

from pipeline_src.batches.moments import RANKED
from pipeline_src.batches.views import View
from pipeline_src.networks.heads import Projector
from pipeline_src.tasks.term import Inputs, Outcome, Shapes, Term, TermSettings, accuracy, modality_of, usable_rows

GROUP = "time"
TERMS = ("rgb.transrank",)
SETTINGS = {
    "margin": {"default": 0.5, "minimum": 0.0, "maximum": 100.0, "help": "wanted lead of a clip's own score"},
    "hidden": {"default": 512, "minimum": 1, "maximum": 65536, "help": "size of the head's hidden layer"},
}
SOURCE = "Duan et al. 2022, TransRank"


class TransrankTerm(Term):
    """Mean over clips of a video i != j of max(0, margin - (s_jj - s_ij)), s_ij the score of clip i for transform j.

    Clips of one video are compared with each other only, so that a fast video at normal speed need not look slower
    than a slow one at double speed.

    Args:
        modality: whose clips.
        settings: margin, hidden.
        shapes: sizes.
    """

    def __init__(self, modality: str, settings: TermSettings, shapes: Shapes) -> None:
        super().__init__()
        self.encoded = (View(modality, "ranked"),)
        self.margin = settings["margin"]
        self.head = Projector(shapes.embedding(modality), settings["hidden"], len(RANKED))

    def forward(self, inputs: Inputs) -> Tensor | None:
        """The ranking loss; None where no clip is long enough."""
        lead = self._lead(inputs)
        return functional.relu(self.margin - lead).mean() if len(lead) else None

    def outcome(self, inputs: Inputs) -> Outcome | None:
        """Right where a clip leads another of its video in its own score."""
        lead = self._lead(inputs)
        return accuracy(lead.flatten() > 0, 0.5) if len(lead) else None

    def _lead(self, inputs: Inputs) -> Tensor:
        """s_jj - s_ij, (M', pairs i != j)."""
        (view,) = self.encoded
        embeddings = inputs.features[view].embedding.unflatten(0, (-1, len(RANKED)))
        scores = self.head(embeddings[usable_rows(inputs, view)].flatten(0, 1)).unflatten(0, (-1, len(RANKED)))
        lead = scores.diagonal(dim1=1, dim2=2)[:, None] - scores
        apart = ~torch.eye(len(RANKED), dtype=torch.bool, device=scores.device)
        return lead[:, apart]


def build(name: str, shapes: Shapes, settings: TermSettings) -> Term:
    """The term `{modality}.transrank`."""
    return TransrankTerm(modality_of(name), settings, shapes)
