"""Align: are two streams of one clip synchronised, or is one shifted or from another clip (Korbar et al. 2018)?"""

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

GROUP = "elo"
TERMS = (
    "audio~rgb.align",
    "audio~flow.align",
    "audio~grey.align",
    "flow~rgb.align",
    "flow~grey.align",
    "grey~rgb.align",
)
SOURCE = "Korbar et al. 2018, Cooperative Learning of Audio and Video Models (AVTS); ELo"
SETTINGS = {
    "hidden": {
        "default": 64,
        "minimum": 1,
        "maximum": 65536,
        "help": "size of the joint space and of the hidden layer",
    },
    "negatives": {
        "default": "both",
        "choices": ["shifted", "other", "both"],
        "help": "unsynchronised pairs: shifted within the clip (hard), from another clip (easy), or both equally."
        " A clip too short to be shifted takes another clip",
    },
}


class AlignTerm(Term):
    """Binary cross-entropy of synchronised (1) against unsynchronised (0) pairs.

    Args:
        first: the modality that moves.
        second: the modality that stays.
        hidden: size of the joint space.
        negatives: shifted, other or both.
        shapes: sizes.
    """

    def __init__(self, first: str, second: str, hidden: int, negatives: str, shapes: Shapes) -> None:
        super().__init__()
        self.encoded = (View(first), View(second))
        if negatives != "other":
            self.encoded = (*self.encoded, View(first, "shifted"))
        self.negatives = negatives
        self.project_first = nn.Linear(shapes.embedding(first), hidden)
        self.project_second = nn.Linear(shapes.embedding(second), hidden)
        self.head = Classifier(2 * hidden, hidden, 1)

    def forward(self, inputs: Inputs) -> Tensor | None:
        """Mean over positives plus mean over negatives, halved; None with fewer than two clips without padding."""
        found = self._pairs(inputs)
        if found is None:
            return None
        together, apart = found
        negative = torch.stack([functional.softplus(logits).mean() for logits in apart]).mean()
        return (functional.softplus(-together).mean() + negative) / 2

    def outcome(self, inputs: Inputs) -> Outcome | None:
        """Right where synchronised pairs have positive logits, and others, of each kind in turn, negative ones."""
        found = self._pairs(inputs)
        if found is None:
            return None
        together, apart = found
        turn = torch.arange(len(together), device=together.device) % len(apart)
        negative = torch.stack(apart).gather(0, turn[None]).squeeze(0)
        return accuracy(torch.cat([together > 0, negative < 0]), 0.5)

    def _pairs(self, inputs: Inputs) -> tuple[Tensor, list[Tensor]] | None:
        """Logits (M',) of synchronised pairs, and of each kind of unsynchronised ones."""
        first, second = (inputs.features[view] for view in self.encoded[:2])
        moved, fixed = embeddings(first, second)
        moved, fixed = self.project_first(moved), self.project_second(fixed)
        kept = unpadded_pairs(inputs, *self.encoded[:2])
        if len(kept) < 2:
            return None
        moved, fixed = moved[kept], fixed[kept]
        others = moved[other_video(videos_of(inputs, first, second)[kept])]
        wrong = [others] if self.negatives != "shifted" else []
        if self.negatives != "other":
            # Only the first of a pair is ever audio, so its rows are those of all three.
            there = self.project_first(inputs.features[self.encoded[2]].embedding)
            # A padded window among the shifted ones only would tell them.
            shiftable = inputs.usable[self.encoded[2]] & inputs.whole[self.encoded[2]]
            if first.all_rows is not None:
                shiftable = shiftable[first.all_rows]
            wrong.append(torch.where(shiftable[kept, None], there[kept], others))
        return self._logits(moved, fixed), [self._logits(part, fixed) for part in wrong]

    def _logits(self, first: Tensor, second: Tensor) -> Tensor:
        return self.head(torch.cat([first, second], dim=1)).squeeze(1)


def build(name: str, shapes: Shapes, settings: TermSettings) -> Term:
    """The term `{first}~{second}.align`."""
    first, second = pair_of(name, "~")
    return AlignTerm(first, second, settings["hidden"], settings["negatives"], shapes)
