"""AVTS: sound and video in synchrony near each other, others apart; negatives from easy to hard (margin loss)."""

import torch
from torch import Tensor
from torch.nn import functional

from pipeline_src.batches.views import View
from pipeline_src.networks.heads import Projector
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
TERMS = ("audio~rgb.avts",)
SETTINGS = {
    "margin": {"default": 0.99, "minimum": 0.01, "maximum": 10.0, "help": "wanted distance of unsynchronised pairs"},
    "easy": {
        "default": 0.55,
        "minimum": 0.0,
        "maximum": 1.0,
        "help": "share of the training whose negatives are other videos only",
    },
    "hard": {
        "default": 0.25,
        "minimum": 0.0,
        "maximum": 1.0,
        "help": "share of negatives that are shifted within the clip, in the rest of the training",
    },
    "size": {"default": 128, "minimum": 2, "maximum": 65536, "help": "size of the joint space"},
    "hidden": {"default": 512, "minimum": 1, "maximum": 65536, "help": "size of the heads' hidden layers"},
}
SOURCE = "Korbar et al. 2018, Cooperative Learning of Audio and Video Models from Self-Supervised Synchronization"


class AvtsTerm(Term):
    """Mean of d^2 over synchronised pairs plus mean of max(0, margin - d)^2 over others, halved.

    50 of the paper's 90 epochs have easy negatives only, then a quarter of them are hard.

    Args:
        first, second: audio and rgb.
        settings: margin, easy, hard, size, hidden.
        shapes: sizes.
    """

    def __init__(self, first: str, second: str, settings: TermSettings, shapes: Shapes) -> None:
        super().__init__()
        self.encoded = (View(first), View(second), View(first, "shifted"))
        self.margin, self.easy, self.hard = settings["margin"], settings["easy"], settings["hard"]
        self.project_first = Projector(shapes.embedding(first), settings["hidden"], settings["size"])
        self.project_second = Projector(shapes.embedding(second), settings["hidden"], settings["size"])

    def forward(self, inputs: Inputs) -> Tensor | None:
        """The contrastive loss; None with fewer than two clips without padding."""
        distances = self._distances(inputs)
        if distances is None:
            return None
        own, other = distances
        return (own.square().mean() + functional.relu(self.margin - other).square().mean()) / 2

    def outcome(self, inputs: Inputs) -> Outcome | None:
        """Right where the synchronised sound is nearer than the other."""
        distances = self._distances(inputs)
        return None if distances is None else accuracy(distances[0] < distances[1], 0.5)

    def _distances(self, inputs: Inputs) -> tuple[Tensor, Tensor] | None:
        features = [inputs.features[view] for view in self.encoded[:2]]
        sound, video = embeddings(*features)
        kept = unpadded_pairs(inputs, *self.encoded[:2])
        if len(kept) < 2:
            return None
        sound, video = self._unit(self.project_first(sound[kept])), self._unit(self.project_second(video[kept]))
        wrong = sound[other_video(videos_of(inputs, *features)[kept])]
        if inputs.progress >= self.easy:
            shifted = self._unit(self.project_first(inputs.features[self.encoded[2]].embedding[kept]))
            rows = inputs.features[self.encoded[0]].all_rows
            # A padded window among the shifted ones only would tell them.
            shiftable = inputs.usable[self.encoded[2]] & inputs.whole[self.encoded[2]]
            hard = (inputs.draws("avts").uniform() < self.hard) & shiftable
            wrong = torch.where(hard[rows][kept, None], shifted, wrong)
        return self._distance(sound, video), self._distance(wrong, video)

    def _unit(self, x: Tensor) -> Tensor:
        return functional.normalize(x, dim=1)

    def _distance(self, one: Tensor, two: Tensor) -> Tensor:
        return torch.sqrt((one - two).square().sum(1) + 1e-8)


def build(name: str, shapes: Shapes, settings: TermSettings) -> Term:
    """The term `{first}~{second}.avts`."""
    first, second = pair_of(name, "~")
    return AvtsTerm(first, second, settings, shapes)
