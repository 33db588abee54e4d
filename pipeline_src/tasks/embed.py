"""Embed: two modalities of one clip near each other in a joint space, other clips far (max-margin triplet loss)."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline_src.batches.views import View
from pipeline_src.tasks.term import Inputs, Shapes, Term, TermSettings, matching, pair_of

TERMS = ("flow~rgb.embed", "grey~rgb.embed", "audio~rgb.embed")
SETTINGS = {
    "size": {"default": 64, "minimum": 1, "maximum": 65536, "help": "size of the joint space"},
    "margin": {"default": 0.2, "minimum": 0.0, "maximum": 4.0, "help": "wanted gap between squared distances"},
}


class EmbedTerm(Term):
    """Mean over all pairs of clips i != j, in both directions, of max(0, margin + |a_i - b_i|^2 - |a_i - b_j|^2).

    a and b are linear projections of the two embeddings, scaled to length 1.

    Args:
        first, second: the modalities.
        size: size of the joint space.
        margin: see above.
        shapes: sizes.
    """

    def __init__(self, first: str, second: str, size: int, margin: float, shapes: Shapes) -> None:
        super().__init__()
        self.encoded = (View(first, "plain"), View(second, "plain"))
        self.margin = margin
        self.project_first = nn.Linear(shapes.embedding(first), size)
        self.project_second = nn.Linear(shapes.embedding(second), size)

    def forward(self, inputs: Inputs) -> Tensor | None:
        """The triplet loss; None with fewer than two clips."""
        first, second = matching(*(inputs.features[view] for view in self.encoded))
        a = functional.normalize(self.project_first(first.embedding), dim=1)
        b = functional.normalize(self.project_second(second.embedding), dim=1)
        if len(a) < 2:
            return None
        distance = 2 - 2 * a @ b.T
        own = distance.diagonal()
        others = ~torch.eye(len(a), dtype=torch.bool, device=a.device)
        rows = functional.relu(self.margin + own[:, None] - distance)[others].mean()
        columns = functional.relu(self.margin + own[None, :] - distance)[others].mean()
        return (rows + columns) / 2


def build(name: str, shapes: Shapes, settings: TermSettings) -> Term:
    """The term `{first}~{second}.embed`."""
    first, second = pair_of(name, "~")
    return EmbedTerm(first, second, settings["size"], settings["margin"], shapes)
