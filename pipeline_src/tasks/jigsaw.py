"""Jigsaw: which of some known permutations were a clip's pieces shown in (cross-entropy)?"""

import itertools

import torch
from torch import Tensor
from torch.nn import functional

from pipeline_src.batches.views import View
from pipeline_src.networks.heads import Classifier
from pipeline_src.tasks.term import Inputs, Outcome, Shapes, Term, TermSettings, accuracy, modality_of

GROUP = "space"
TERMS = ("rgb.jigsaw",)
SETTINGS = {
    "grid": {"default": 3, "minimum": 2, "maximum": 4, "help": "pieces along a side"},
    "permutations": {"default": 64, "minimum": 2, "maximum": 1000, "help": "permutations, as unlike as possible"},
    "hidden": {"default": 512, "minimum": 1, "maximum": 65536, "help": "size of the head's hidden layer"},
}
SOURCE = "Noroozi and Favaro 2016, Solving Jigsaw Puzzles; for video Kim et al. 2019, Space-Time Cubic Puzzles"

CANDIDATES = 2000


class JigsawTerm(Term):
    """The pieces' embeddings, side by side in the order shown, tell the permutation.

    Args:
        modality: whose clips.
        settings: grid, permutations, hidden.
        shapes: sizes.
    """

    def __init__(self, modality: str, settings: TermSettings, shapes: Shapes) -> None:
        super().__init__()
        self.pieces = settings["grid"] ** 2
        self.encoded = (View(modality, "pieces", (settings["grid"],)),)
        self.permutations: Tensor
        self.register_buffer("permutations", unlike_permutations(self.pieces, settings["permutations"]))
        inputs = self.pieces * shapes.embedding(modality)
        self.head = Classifier(inputs, settings["hidden"], len(self.permutations))

    def forward(self, inputs: Inputs) -> Tensor:
        """The mean cross-entropy."""
        logits, labels = self._answers(inputs)
        return functional.cross_entropy(logits, labels)

    def outcome(self, inputs: Inputs) -> Outcome:
        """Right where the permutation's logit is the highest."""
        logits, labels = self._answers(inputs)
        return accuracy(logits.argmax(1) == labels, 1 / len(self.permutations))

    def _answers(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        pieces = inputs.features[self.encoded[0]].embedding.unflatten(0, (-1, self.pieces))
        labels = inputs.draws("jigsaw").whole(len(self.permutations))
        order = self.permutations[labels]
        shown = pieces.gather(1, order[:, :, None].expand_as(pieces))
        return self.head(shown.flatten(1)), labels


def unlike_permutations(pieces: int, count: int) -> Tensor:
    """(count, pieces) permutations, each as far as possible in Hamming distance from those before it.

    Greedy, after the paper; from a fixed random sample where there are too many permutations to try them all. All there
    are, where fewer are.
    """
    if pieces <= 6:
        candidates = torch.tensor(list(itertools.permutations(range(pieces))))
    else:
        random = torch.Generator().manual_seed(0)
        drawn = torch.stack([torch.randperm(pieces, generator=random) for _ in range(max(CANDIDATES, 4 * count))])
        candidates = torch.unique(drawn, dim=0)
    count = min(count, len(candidates))
    chosen = [0]
    nearest = (candidates != candidates[0]).sum(1)
    while len(chosen) < count:
        chosen.append(int(nearest.argmax()))
        nearest = torch.minimum(nearest, (candidates != candidates[chosen[-1]]).sum(1))
    return candidates[chosen]


def build(name: str, shapes: Shapes, settings: TermSettings) -> Term:
    """The term `{modality}.jigsaw`."""
    return JigsawTerm(modality_of(name), settings, shapes)
