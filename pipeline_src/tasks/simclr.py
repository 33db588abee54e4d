"""SimCLR: a clip's other temporal crop among all crops of the batch (NT-Xent)."""

import itertools

import torch
from torch import Tensor

from pipeline_src.batches.views import View
from pipeline_src.networks.heads import Projector
from pipeline_src.tasks.contrast import info_nce, others, unit
from pipeline_src.tasks.term import Inputs, Outcome, Shapes, Term, TermSettings, modality_of, retrieval

GROUP = "contrast"
TERMS = ("rgb.simclr", "flow.simclr")
SETTINGS = {
    "temperature": {"default": 0.1, "minimum": 0.001, "maximum": 10.0, "help": "divides similarities"},
    "size": {"default": 128, "minimum": 2, "maximum": 65536, "help": "size of the space of comparison"},
    "hidden": {"default": 2048, "minimum": 1, "maximum": 65536, "help": "size of the head's hidden layer"},
}
SOURCE = "Chen et al. 2020, A Simple Framework for Contrastive Learning"


class SimclrTerm(Term):
    """NT-Xent over the batch, for every ordered pair of a clip's crops.

    Negatives are the crops of both kinds of other videos' clips.

    Args:
        modality: whose clips.
        crops: temporal crops a clip.
        settings: temperature, size, hidden.
        shapes: sizes.
    """

    def __init__(self, modality: str, crops: int, settings: TermSettings, shapes: Shapes) -> None:
        super().__init__()
        self.encoded = tuple(View(modality, f"crop{number}") for number in range(1, crops + 1))
        self.temperature = settings["temperature"]
        self.head = Projector(shapes.embedding(modality), settings["hidden"], settings["size"])

    def forward(self, inputs: Inputs) -> Tensor | None:
        """Mean over pairs; None when all clips stem from one video."""
        rival = others(inputs.videos, inputs.videos)
        if not rival.any():
            return None
        nothing, own = torch.zeros_like(rival), torch.eye(len(rival), dtype=torch.bool, device=rival.device)
        losses = []
        for one, two in itertools.permutations(self._projected(inputs), 2):
            similarity = torch.cat([one @ two.T, one @ one.T], 1)
            positive, counted = torch.cat([own, nothing], 1), torch.cat([rival, rival], 1)
            losses.append(info_nce(similarity, positive, counted, self.temperature))
        return torch.stack(losses).mean()

    def outcome(self, inputs: Inputs) -> Outcome:
        """Right where the nearest second crop is the clip's own."""
        one, two, *_ = self._projected(inputs)
        return retrieval(one, two, inputs.videos)

    def _projected(self, inputs: Inputs) -> list[Tensor]:
        return [unit(self.head(inputs.features[view].embedding)) for view in self.encoded]


def build(name: str, shapes: Shapes, settings: TermSettings) -> Term:
    """The term `{modality}.simclr`."""
    return SimclrTerm(modality_of(name), 2, settings, shapes)
