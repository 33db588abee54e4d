"""Pace: at which of four speeds does the clip play (cross-entropy), and which clip is of the same video (InfoNCE)?"""

import torch
from torch import Tensor
from torch.nn import functional

from pipeline_src.batches.moments import PACES
from pipeline_src.batches.views import View
from pipeline_src.networks.heads import Classifier, Projector
from pipeline_src.networks.parallel import gather
from pipeline_src.tasks.contrast import info_nce, others, unit
from pipeline_src.tasks.term import Inputs, Outcome, Shapes, Term, TermSettings, accuracy, modality_of, usable_rows

GROUP = "time"
TERMS = ("rgb.pace",)
SETTINGS = {
    "contrast": {"default": 0.1, "minimum": 0.0, "maximum": 100.0, "help": "weight of the instance discrimination"},
    "temperature": {"default": 0.1, "minimum": 0.001, "maximum": 10.0, "help": "divides similarities"},
    "size": {"default": 128, "minimum": 2, "maximum": 65536, "help": "size of the space of comparison"},
    "hidden": {"default": 512, "minimum": 1, "maximum": 65536, "help": "size of the heads' hidden layers"},
}
SOURCE = "Wang et al. 2020, Self-supervised Video Representation Learning by Pace Prediction"


class PaceTerm(Term):
    """Cross-entropy of both clips' paces, plus `contrast` times InfoNCE between them, both ways.

    Args:
        modality: whose clips.
        settings: contrast, temperature, size, hidden.
        shapes: sizes.
    """

    def __init__(self, modality: str, settings: TermSettings, shapes: Shapes) -> None:
        super().__init__()
        self.encoded = (View(modality, "pace1"), View(modality, "pace2"))
        self.contrast, self.temperature = settings["contrast"], settings["temperature"]
        inputs = shapes.embedding(modality)
        self.classifier = Classifier(inputs, settings["hidden"], len(PACES))
        self.projector = Projector(inputs, settings["hidden"], settings["size"])

    def forward(self, inputs: Inputs) -> Tensor | None:
        """The sum of both parts; None where no clip is long enough."""
        rows = usable_rows(inputs, *self.encoded)
        if len(rows) == 0:
            return None
        logits, labels = self._answers(inputs, rows)
        one, two = (unit(self.projector(inputs.features[view].embedding[rows])) for view in self.encoded)
        rival = others(inputs.videos[rows], inputs.videos[rows])
        own = torch.eye(len(rows), dtype=torch.bool, device=rival.device)
        between = one @ two.T
        same = [info_nce(similarity, own, rival, self.temperature) for similarity in (between, between.T)]
        return functional.cross_entropy(logits, labels) + self.contrast * torch.stack(same).mean()

    def outcome(self, inputs: Inputs) -> Outcome | None:
        """Right where the pace's logit is the highest."""
        rows = usable_rows(inputs, *self.encoded)
        if len(rows) == 0:
            return None
        logits, labels = self._answers(inputs, rows)
        return accuracy(logits.argmax(1) == labels, 1 / len(PACES))

    def _answers(self, inputs: Inputs, rows: Tensor) -> tuple[Tensor, Tensor]:
        embeddings = torch.cat([inputs.features[view].embedding[rows] for view in self.encoded])
        return self.classifier(embeddings), torch.cat([gather(inputs.labels[view])[rows] for view in self.encoded])


def build(name: str, shapes: Shapes, settings: TermSettings) -> Term:
    """The term `{modality}.pace`."""
    return PaceTerm(modality_of(name), settings, shapes)
