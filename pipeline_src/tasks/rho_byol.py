"""rho-BYOL: predict what a momentum network makes of a clip's other temporal crops; no negatives."""

import itertools

import torch
from torch import Tensor

from pipeline_src.batches.views import View
from pipeline_src.networks.heads import Projector
from pipeline_src.tasks.contrast import MomentumHead, unit
from pipeline_src.tasks.term import Inputs, Key, Momentum, Outcome, Shapes, Term, TermSettings, modality_of, retrieval

GROUP = "contrast"
TERMS = ("rgb.rho_byol",)
SETTINGS = {
    "rho": {"default": 2, "minimum": 2, "maximum": 4, "help": "temporal crops a clip; the authors' code takes 4"},
    "momentum": {"default": 0.996, "minimum": 0.0, "maximum": 1.0, "help": "share kept at the start; it rises to 1"},
    "size": {"default": 256, "minimum": 2, "maximum": 65536, "help": "size of the projection"},
    "hidden": {"default": 4096, "minimum": 1, "maximum": 65536, "help": "size of the heads' hidden layers"},
}
SOURCE = "Grill et al. 2020, Bootstrap Your Own Latent; Feichtenhofer et al. 2021"


class RhoByolTerm(Term):
    """Mean over ordered pairs of crops of -cos(prediction from one, momentum projection of the other).

    Args:
        modality: whose clips.
        settings: rho, momentum, size, hidden.
        shapes: sizes.
    """

    def __init__(self, modality: str, settings: TermSettings, shapes: Shapes) -> None:
        super().__init__()
        self.momentum = Momentum(settings["momentum"], rises=True)
        self.encoded = tuple(View(modality, f"crop{number}") for number in range(1, settings["rho"] + 1))
        self.keys = tuple(Key(view, self.momentum) for view in self.encoded)
        hidden, size = settings["hidden"], settings["size"]
        self.head = MomentumHead(shapes.embedding(modality), hidden, size, normalised=True)
        self.predictor = Projector(size, hidden, size, normalised=True)

    def forward(self, inputs: Inputs) -> Tensor | None:
        """The mean negative cosine; None with a single clip, which cannot be normalised."""
        if len(inputs.videos) < 2:
            return None
        predicted, keys = self._predicted(inputs), self._keys(inputs)
        pairs = itertools.permutations(range(len(keys)), 2)
        return -torch.stack([(predicted[a] * keys[b]).sum(1).mean() for a, b in pairs]).mean()

    def outcome(self, inputs: Inputs) -> Outcome | None:
        """Right where the nearest key to a prediction is the clip's own."""
        if len(inputs.videos) < 2:
            return None
        return retrieval(self._predicted(inputs)[0], self._keys(inputs)[1], inputs.videos)

    def follow(self, progress: float) -> None:
        """Move the momentum head."""
        self.head.follow(self.momentum.at(progress))

    def _predicted(self, inputs: Inputs) -> list[Tensor]:
        return [unit(self.predictor(self.head.online(inputs.features[view].embedding))) for view in self.encoded]

    @torch.no_grad()
    def _keys(self, inputs: Inputs) -> list[Tensor]:
        return [unit(self.head.target(inputs.keys[key].embedding)) for key in self.keys]


def build(name: str, shapes: Shapes, settings: TermSettings) -> Term:
    """The term `{modality}.rho_byol`."""
    return RhoByolTerm(modality_of(name), settings, shapes)
