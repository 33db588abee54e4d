"""CoCLR: two modalities that mine each other's positives among queued keys (multi-positive InfoNCE)."""

from typing import cast

import torch
from torch import Tensor, nn

from pipeline_src.batches.views import View
from pipeline_src.tasks.contrast import MomentumHead, Queue, info_nce, others, unit
from pipeline_src.tasks.term import Inputs, Key, Momentum, Outcome, Shapes, Term, TermSettings, pair_of, retrieval

GROUP = "contrast"
TERMS = ("flow~rgb.coclr",)
SETTINGS = {
    "positives": {"default": 5, "minimum": 1, "maximum": 1000, "help": "nearest keys in the other modality"},
    "initial": {
        "default": 0.43,
        "minimum": 0.0,
        "maximum": 1.0,
        "help": "share of the training with own positives only, for both modalities",
    },
    "cycles": {"default": 2, "minimum": 1, "maximum": 100, "help": "turns of rgb, then flow, in the rest"},
    "temperature": {"default": 0.07, "minimum": 0.001, "maximum": 10.0, "help": "divides similarities"},
    "momentum": {"default": 0.999, "minimum": 0.0, "maximum": 1.0, "help": "share of the key encoders kept by a step"},
    "queue": {"default": 2048, "minimum": 1, "maximum": 1_000_000, "help": "keys that are kept"},
    "size": {"default": 128, "minimum": 2, "maximum": 65536, "help": "size of the space of comparison"},
    "hidden": {"default": 512, "minimum": 1, "maximum": 65536, "help": "size of the heads' hidden layers"},
}
SOURCE = "Han et al. 2020, Self-supervised Co-training for Video Representation Learning (CoCLR)"


class CoclrTerm(Term):
    """InfoNCE per modality; after the initial part positives are also the other modality's nearest clips.

    300 of the paper's 700 epochs train both modalities by themselves; then they take turns, each mining its positives
    in the other's queue and batch, where the key of the same clip is compared with the others. The authors' code mines
    in a full queue only, and counts queued clips of the same video as positives, which here are neither.

    Args:
        first, second: flow and rgb; the second has the first turn.
        settings: see SETTINGS.
        shapes: sizes.
    """

    def __init__(self, first: str, second: str, settings: TermSettings, shapes: Shapes) -> None:
        super().__init__()
        self.modalities = (second, first)
        self.momentum = Momentum(settings["momentum"])
        self.encoded = tuple(View(modality, "crop1") for modality in self.modalities)
        self.keys = tuple(Key(View(modality, "crop2"), self.momentum) for modality in self.modalities)
        self.settings = dict(settings)
        self.heads = nn.ModuleDict()
        self.queues = nn.ModuleDict()
        for modality in self.modalities:
            inputs = shapes.embedding(modality)
            self.heads[modality] = MomentumHead(inputs, settings["hidden"], settings["size"])
            self.queues[modality] = Queue(settings["queue"], settings["size"])

    def forward(self, inputs: Inputs) -> Tensor:
        """Mean over the modalities whose turn it is."""
        keys = self._keys(inputs)
        turns = self.turns(inputs.progress)
        mined = inputs.progress >= self.settings["initial"]
        return torch.stack([self._contrast(place, keys, inputs, mined) for place in turns]).mean()

    def outcome(self, inputs: Inputs) -> Outcome:
        """Right where the nearest key of the second modality, rgb, is the clip's own."""
        query = unit(self._head(self.modalities[0]).online(inputs.features[self.encoded[0]].embedding))
        return retrieval(query, self._keys(inputs)[0], inputs.videos)

    def remember(self, inputs: Inputs) -> None:
        """Queue both modalities' keys, side by side."""
        for modality, key in zip(self.modalities, self._keys(inputs), strict=True):
            self._queue(modality).add(key, inputs.videos)

    def follow(self, progress: float) -> None:
        """Move the momentum heads."""
        for modality in self.modalities:
            self._head(modality).follow(self.momentum.at(progress))

    def turns(self, progress: float) -> tuple[int, ...]:
        """Which modalities learn now, as places in `modalities`."""
        initial = self.settings["initial"]
        if progress < initial or initial == 1:
            return (0, 1)
        turn = int(2 * self.settings["cycles"] * (progress - initial) / (1 - initial))
        return (turn % 2,)

    def _head(self, modality: str) -> MomentumHead:
        return cast(MomentumHead, self.heads[modality])

    def _queue(self, modality: str) -> Queue:
        return cast(Queue, self.queues[modality])

    @torch.no_grad()
    def _keys(self, inputs: Inputs) -> list[Tensor]:
        found = zip(self.modalities, self.keys, strict=True)
        return [unit(self._head(modality).target(inputs.keys[key].embedding)) for modality, key in found]

    def _contrast(self, place: int, keys: list[Tensor], inputs: Inputs, mined: bool) -> Tensor:
        modality, other = self.modalities[place], self.modalities[1 - place]
        query = unit(self._head(modality).online(inputs.features[self.encoded[place]].embedding))
        queue = self._queue(modality)
        counted = others(inputs.videos, torch.cat([inputs.videos, queue.videos]))
        positive = torch.zeros_like(counted)
        positive[:, : len(query)].fill_diagonal_(True)
        if mined:
            # Of the same clips in the same places, as the other modality sees them.
            seen = keys[1 - place] @ torch.cat([keys[1 - place], self._queue(other).vectors.to(query.dtype)]).T
            seen = seen.masked_fill(~counted, -torch.inf)
            nearest = seen.topk(min(self.settings["positives"], seen.shape[1]), dim=1).indices
            positive = positive | (torch.zeros_like(positive).scatter(1, nearest, True) & counted)
        similarity = query @ torch.cat([keys[place], queue.vectors.to(query.dtype)]).T
        return info_nce(similarity, positive, counted, self.settings["temperature"])


def build(name: str, shapes: Shapes, settings: TermSettings) -> Term:
    """The term `{first}~{second}.coclr`."""
    first, second = pair_of(name, "~")
    return CoclrTerm(first, second, settings, shapes)
