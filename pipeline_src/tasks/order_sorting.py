"""Order sorting (OPN): in which of 12 orders are four frames, an order and its reverse being one (cross-entropy)?"""

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline_src.batches.views import View
from pipeline_src.networks.heads import Classifier
from pipeline_src.networks.parallel import mean_over_clips
from pipeline_src.tasks.frames import activation_size, changes, frame_activations, moving_frames, picked
from pipeline_src.tasks.term import Inputs, Outcome, Shapes, Term, TermSettings, accuracy, modality_of

GROUP = "time"
MINIMUM_FRAMES = 4
TERMS = ("rgb.order_sorting",)
SETTINGS = {
    "pair": {"default": 512, "minimum": 1, "maximum": 65536, "help": "size of a pair of frames' feature"},
    "hidden": {"default": 256, "minimum": 1, "maximum": 65536, "help": "size of the head's hidden layer"},
}
SOURCE = "Lee et al. 2017, Unsupervised Representation Learning by Sorting Sequences"

FRAMES = 4
ORDERS = tuple(itertools.permutations(range(FRAMES)))
_DISTINCT = [order for order in ORDERS if order < order[::-1]]
CLASSES = tuple(_DISTINCT.index(min(order, order[::-1])) for order in ORDERS)


class OrderSortingTerm(Term):
    """Features of all pairs of frames, side by side, tell the order; of each frame, what sets it apart in its clip.

    Args:
        modality: whose clips.
        settings: pair, hidden.
        shapes: sizes; windows have at least four frames.
    """

    def __init__(self, modality: str, settings: TermSettings, shapes: Shapes) -> None:
        super().__init__()
        self.encoded = (View(modality, "frames"),)
        self.targets = (View(modality),)
        self.frames = shapes.frames
        self.pairs = list(itertools.combinations(range(FRAMES), 2))
        self.pair = nn.Linear(2 * activation_size(shapes, modality), settings["pair"])
        self.head = Classifier(len(self.pairs) * settings["pair"], settings["hidden"], len(_DISTINCT))

    def forward(self, inputs: Inputs) -> Tensor | None:
        """The mean cross-entropy; None where no clip is long enough."""
        logits, labels = self._answers(inputs)
        return mean_over_clips(functional.cross_entropy(logits, labels, reduction="none"))

    def outcome(self, inputs: Inputs) -> Outcome | None:
        """Right where the order's logit is the highest."""
        logits, labels = self._answers(inputs)
        return accuracy(logits.argmax(1) == labels, 1 / len(_DISTINCT)) if len(labels) else None

    def _answers(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        frames = changes(frame_activations(inputs, self.encoded[0], self.frames))
        drawn = inputs.draws("order_sorting", whole=False).whole(len(ORDERS))
        order = torch.tensor(ORDERS, device=frames.device)[drawn]
        places = moving_frames(inputs.targets[self.targets[0]], FRAMES)[inputs.mine].gather(1, order)
        usable = inputs.usable[self.encoded[0]][inputs.mine]
        shown = picked(frames, places)[usable]
        pairs = [functional.relu(self.pair(shown[:, pair].flatten(1))) for pair in map(list, self.pairs)]
        return self.head(torch.cat(pairs, 1)), torch.tensor(CLASSES, device=frames.device)[drawn[usable]]


def build(name: str, shapes: Shapes, settings: TermSettings) -> Term:
    """The term `{modality}.order_sorting`."""
    return OrderSortingTerm(modality_of(name), settings, shapes)
