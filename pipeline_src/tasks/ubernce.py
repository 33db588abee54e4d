"""UberNCE: MoCo whose positives are all clips of the same class. It reads labels: an upper bound, never searched."""

import torch
from torch import Tensor

from pipeline_src.tasks.contrast import others
from pipeline_src.tasks.moco import MocoTerm
from pipeline_src.tasks.term import Inputs, Momentum, Outcome, Shapes, Term, TermSettings, modality_of

GROUP = "contrast"
TERMS = ("rgb.ubernce",)
READS_LABELS = True
SETTINGS = {
    "temperature": {"default": 0.07, "minimum": 0.001, "maximum": 10.0, "help": "divides similarities"},
    "momentum": {"default": 0.999, "minimum": 0.0, "maximum": 1.0, "help": "share of the key encoder kept by a step"},
    "queue": {"default": 2048, "minimum": 1, "maximum": 1_000_000, "help": "keys that are kept"},
    "size": {"default": 128, "minimum": 2, "maximum": 65536, "help": "size of the space of comparison"},
    "hidden": {"default": 512, "minimum": 1, "maximum": 65536, "help": "size of the head's hidden layer"},
}
SOURCE = "Han et al. 2020, Self-supervised Co-training (CoCLR), its oracle"


class UbernceTerm(MocoTerm):
    """Multi-positive InfoNCE: positives are the keys of the query's class, its own clip's among them."""

    def __init__(self, modality: str, settings: TermSettings, shapes: Shapes) -> None:
        super().__init__(modality, 2, Momentum(settings["momentum"]), settings, shapes, symmetric=False)
        self.classes: Tensor
        self.register_buffer("classes", torch.full((settings["queue"],), -1))

    def positives(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """Keys of the query's class, in the batch and in the queue."""
        classes = inputs.classes[:, None]
        return classes == inputs.classes[None], classes == self.classes[None]

    def outcome(self, inputs: Inputs) -> Outcome | None:
        """Right where the nearest key of another video is of the query's class."""
        (query,), (key,) = self.queries(inputs).values(), self.current_keys(inputs).values()
        rival = others(inputs.videos, inputs.videos)
        same = inputs.classes[:, None] == inputs.classes[None]
        nearest = (query @ key.T).masked_fill(~rival, -torch.inf).argmax(1)
        right = same[torch.arange(len(query), device=query.device), nearest]
        # One clip lacks a rival only where all do: they stem from one video.
        return Outcome(right.float(), (same & rival).sum(1) / rival.sum(1)) if rival.any() else None

    def remember(self, inputs: Inputs) -> None:
        """Queue the keys and their classes."""
        (key,) = self.current_keys(inputs).values()
        places = self.queue.add(key, inputs.videos)
        self.classes = self.classes.index_copy(0, places, inputs.classes[-len(places) :])


def build(name: str, shapes: Shapes, settings: TermSettings) -> Term:
    """The term `{modality}.ubernce`."""
    return UbernceTerm(modality_of(name), settings, shapes)
