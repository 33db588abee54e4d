"""Embed: two modalities of one clip near each other in a joint space, other clips far (max-margin triplet loss)."""

from torch import Tensor, nn
from torch.nn import functional

from pipeline_src.batches.views import View
from pipeline_src.tasks.term import (
    Inputs,
    Outcome,
    Shapes,
    Term,
    TermSettings,
    embeddings,
    pair_of,
    retrieval,
    unpadded_pairs,
    videos_of,
)

GROUP = "elo"
TERMS = (
    "audio~rgb.embed",
    "audio~flow.embed",
    "audio~grey.embed",
    "flow~rgb.embed",
    "flow~grey.embed",
    "grey~rgb.embed",
)
SOURCE = "Piergiovanni et al. 2020, Evolving Losses; triplets: Schroff et al. 2015, FaceNet"
SETTINGS = {
    "size": {"default": 64, "minimum": 1, "maximum": 65536, "help": "size of the joint space"},
    "margin": {"default": 0.2, "minimum": 0.0, "maximum": 4.0, "help": "wanted gap between squared distances"},
}


class EmbedTerm(Term):
    """Mean over all pairs of videos' clips, in both directions, of max(0, margin + |a_i - b_i|^2 - |a_i - b_j|^2).

    a and b are linear projections of the two embeddings, scaled to length 1.

    Args:
        first, second: the modalities.
        size: size of the joint space.
        margin: see above.
        shapes: sizes.
    """

    def __init__(self, first: str, second: str, size: int, margin: float, shapes: Shapes) -> None:
        super().__init__()
        self.encoded = (View(first), View(second))
        self.margin = margin
        self.project_first = nn.Linear(shapes.embedding(first), size)
        self.project_second = nn.Linear(shapes.embedding(second), size)

    def forward(self, inputs: Inputs) -> Tensor | None:
        """The triplet loss; None with fewer than two videos of clips without padding."""
        a, b, videos = self._projected(inputs)
        others = videos[:, None] != videos[None]
        if not others.any():
            return None
        distance = 2 - 2 * a @ b.T
        own = distance.diagonal()
        rows = functional.relu(self.margin + own[:, None] - distance)[others].mean()
        columns = functional.relu(self.margin + own[None, :] - distance)[others].mean()
        return (rows + columns) / 2

    def outcome(self, inputs: Inputs) -> Outcome | None:
        """Right where a clip's own second modality is the nearest."""
        a, b, videos = self._projected(inputs)
        return retrieval(a, b, videos) if len(a) > 1 else None

    def _projected(self, inputs: Inputs) -> tuple[Tensor, Tensor, Tensor]:
        features = [inputs.features[view] for view in self.encoded]
        first, second = embeddings(*features)
        kept = unpadded_pairs(inputs, *self.encoded)
        return (
            functional.normalize(self.project_first(first[kept]), dim=1),
            functional.normalize(self.project_second(second[kept]), dim=1),
            videos_of(inputs, *features)[kept],
        )


def build(name: str, shapes: Shapes, settings: TermSettings) -> Term:
    """The term `{first}~{second}.embed`."""
    first, second = pair_of(name, "~")
    return EmbedTerm(first, second, settings["size"], settings["margin"], shapes)
