"""L3: do a single picture and a sound stem from the same video (cross-entropy of yes and no)?"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline_src.batches.views import View
from pipeline_src.networks.heads import Classifier
from pipeline_src.tasks.term import (
    Inputs,
    Outcome,
    Shapes,
    Term,
    TermSettings,
    accuracy,
    embeddings,
    other_video,
    pair_of,
    unpadded_pairs,
    videos_of,
)

GROUP = "sound"
TERMS = ("audio~rgb.l3",)
SETTINGS = {"hidden": {"default": 128, "minimum": 1, "maximum": 65536, "help": "size of the fusion's layers"}}
SOURCE = "Arandjelovic and Zisserman 2017, Look, Listen and Learn"


class L3Term(Term):
    """Binary cross-entropy of a window's middle frame with its own sound against another video's.

    Args:
        first, second: audio and rgb.
        hidden: size of the fusion's layers.
        shapes: sizes.
    """

    def __init__(self, first: str, second: str, hidden: int, shapes: Shapes) -> None:
        super().__init__()
        self.encoded = (View(first), View(second, "middle"))
        self.project_first = nn.Linear(shapes.embedding(first), hidden)
        self.project_second = nn.Linear(shapes.embedding(second), hidden)
        self.head = Classifier(2 * hidden, hidden, 1)

    def forward(self, inputs: Inputs) -> Tensor | None:
        """The mean over pairs; None with fewer than two clips without padding."""
        logits, labels = self._logits(inputs)
        return functional.binary_cross_entropy_with_logits(logits, labels) if len(labels) > 2 else None

    def outcome(self, inputs: Inputs) -> Outcome | None:
        """Right where the logit has the label's sign."""
        logits, labels = self._logits(inputs)
        return accuracy((logits > 0) == (labels > 0), 0.5) if len(labels) > 2 else None

    def _logits(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        features = [inputs.features[view] for view in self.encoded]
        kept = unpadded_pairs(inputs, *self.encoded)
        sound, picture = (part[kept] for part in embeddings(*features))
        other = other_video(videos_of(inputs, *features)[kept])
        sound, picture = self.project_first(sound), self.project_second(picture)
        pairs = [torch.cat([sound, picture], 1), torch.cat([sound[other], picture], 1)]
        logits = self.head(torch.cat(pairs)).squeeze(1)
        ones = torch.ones_like(logits[: len(sound)])
        return logits, torch.cat([ones, torch.zeros_like(ones)])


def build(name: str, shapes: Shapes, settings: TermSettings) -> Term:
    """The term `{first}~{second}.l3`."""
    first, second = pair_of(name, "~")
    return L3Term(first, second, settings["hidden"], shapes)
