"""SimSiam: predict the projection of a clip's other crop, whose side has no gradient; no negatives, no momentum."""

import torch
from torch import Tensor, nn

from pipeline_src.batches.views import View
from pipeline_src.networks.heads import Projector
from pipeline_src.tasks.contrast import unit
from pipeline_src.tasks.term import Inputs, Outcome, Shapes, Term, TermSettings, modality_of, retrieval

GROUP = "contrast"
TERMS = ("rgb.simsiam",)
SETTINGS = {
    "size": {"default": 2048, "minimum": 2, "maximum": 65536, "help": "size of the projection"},
    "hidden": {"default": 512, "minimum": 1, "maximum": 65536, "help": "size of the predictor's hidden layer"},
}
SOURCE = "Chen and He 2021, Exploring Simple Siamese Representation Learning"


class SimsiamTerm(Term):
    """-(cos(p1, z2) + cos(p2, z1)) / 2, z without gradient.

    Args:
        modality: whose clips.
        settings: size, hidden.
        shapes: sizes.
    """

    def __init__(self, modality: str, settings: TermSettings, shapes: Shapes) -> None:
        super().__init__()
        self.encoded = (View(modality, "crop1"), View(modality, "crop2"))
        size = settings["size"]
        self.projector = nn.Sequential(
            nn.Linear(shapes.embedding(modality), size, bias=False),
            nn.BatchNorm1d(size),
            nn.ReLU(inplace=True),
            Projector(size, size, size, normalised=True),
            nn.BatchNorm1d(size, affine=False),
        )
        self.predictor = Projector(size, settings["hidden"], size, normalised=True)

    def forward(self, inputs: Inputs) -> Tensor | None:
        """The mean negative cosine; None with a single clip, which cannot be normalised."""
        if len(inputs.videos) < 2:
            return None
        (p1, z1), (p2, z2) = self._heads(inputs)
        return -torch.stack([(p1 * z2.detach()).sum(1).mean(), (p2 * z1.detach()).sum(1).mean()]).mean()

    def outcome(self, inputs: Inputs) -> Outcome | None:
        """Right where the nearest projection to a prediction is the clip's own."""
        if len(inputs.videos) < 2:
            return None
        (p1, _), (_, z2) = self._heads(inputs)
        return retrieval(p1, z2, inputs.videos)

    def _heads(self, inputs: Inputs) -> list[tuple[Tensor, Tensor]]:
        projected = [self.projector(inputs.features[view].embedding) for view in self.encoded]
        return [(unit(self.predictor(z)), unit(z)) for z in projected]


def build(name: str, shapes: Shapes, settings: TermSettings) -> Term:
    """The term `{modality}.simsiam`."""
    return SimsiamTerm(modality_of(name), settings, shapes)
