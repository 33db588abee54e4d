"""MoCo: a clip's other temporal crop, seen by a momentum encoder, among queued keys of other videos (InfoNCE)."""

import torch
from torch import Tensor

from pipeline_src.batches.views import View
from pipeline_src.tasks.contrast import MomentumHead, Queue, info_nce, others, unit
from pipeline_src.tasks.term import Inputs, Key, Momentum, Outcome, Shapes, Term, TermSettings, modality_of, retrieval

GROUP = "contrast"
TERMS = ("rgb.moco", "flow.moco")
SETTINGS = {
    "temperature": {"default": 0.07, "minimum": 0.001, "maximum": 10.0, "help": "divides similarities"},
    "momentum": {"default": 0.999, "minimum": 0.0, "maximum": 1.0, "help": "share of the key encoder kept by a step"},
    "queue": {"default": 2048, "minimum": 1, "maximum": 1_000_000, "help": "keys that are kept as negatives"},
    "size": {"default": 128, "minimum": 2, "maximum": 65536, "help": "size of the space of comparison"},
    "hidden": {"default": 512, "minimum": 1, "maximum": 65536, "help": "size of the head's hidden layer"},
}
SOURCE = "He et al. 2020, Momentum Contrast; settings of CoCLR's first stage (Han et al. 2020)"


class MocoTerm(Term):
    """InfoNCE of each query crop with the key crops of its own clip, against other videos' keys.

    Negatives are the queue, as in the paper, and besides it the other clips of the batch, whose keys enter the queue
    after the step: there are some from the first step on, before the queue has any. Beside a full queue they are few.

    Args:
        modality: whose clips.
        crops: temporal crops a clip; every one is compared with the keys of all others.
        momentum: of the key encoder.
        settings: temperature, queue, size, hidden.
        shapes: sizes.
        symmetric: whether every crop is a query; else the first alone, with the others as keys.
    """

    def __init__(
        self,
        modality: str,
        crops: int,
        momentum: Momentum,
        settings: TermSettings,
        shapes: Shapes,
        symmetric: bool,
    ) -> None:
        super().__init__()
        views = [View(modality, f"crop{number}") for number in range(1, crops + 1)]
        self.encoded = tuple(views if symmetric else views[:1])
        self.keys = tuple(Key(view, momentum) for view in (views if symmetric else views[1:]))
        self.momentum = momentum
        self.temperature = settings["temperature"]
        self.head = MomentumHead(shapes.embedding(modality), settings["hidden"], settings["size"])
        self.queue = Queue(settings["queue"], settings["size"])

    def forward(self, inputs: Inputs) -> Tensor:
        """Mean over the pairs of a query crop and another crop's key."""
        queries, keys = self.queries(inputs), self.current_keys(inputs)
        losses = []
        for asked, query in queries.items():
            for given, key in keys.items():
                if asked != given:
                    losses.append(self._contrast(query, key, inputs))
        return torch.stack(losses).mean()

    def outcome(self, inputs: Inputs) -> Outcome | None:
        """Right where the last crop's nearest key is the clip's own."""
        query = next(iter(self.queries(inputs).values()))
        return retrieval(query, list(self.current_keys(inputs).values())[-1], inputs.videos)

    def remember(self, inputs: Inputs) -> None:
        """Queue the keys of the batch."""
        for key in self.current_keys(inputs).values():
            self.queue.add(key, inputs.videos)

    def follow(self, progress: float) -> None:
        """Move the momentum head."""
        self.head.follow(self.momentum.at(progress))

    def queries(self, inputs: Inputs) -> dict[View, Tensor]:
        """(M, size) per query crop, of length 1."""
        return {view: unit(self.head.online(inputs.features[view].embedding)) for view in self.encoded}

    @torch.no_grad()
    def current_keys(self, inputs: Inputs) -> dict[View, Tensor]:
        """(M, size) per key crop, of length 1."""
        return {key.view: unit(self.head.target(inputs.keys[key].embedding)) for key in self.keys}

    def positives(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """Which keys of the batch (M, M), and of the queue (M, queue), are a query's positives: its clip's own."""
        videos = inputs.videos
        own = torch.eye(len(videos), dtype=torch.bool, device=videos.device)
        return own, torch.zeros(len(videos), len(self.queue.videos), dtype=torch.bool, device=videos.device)

    def _contrast(self, query: Tensor, key: Tensor, inputs: Inputs) -> Tensor:
        similarity = query @ torch.cat([key, self.queue.vectors.to(key.dtype)]).T
        counted = others(inputs.videos, torch.cat([inputs.videos, self.queue.videos]))
        return info_nce(similarity, torch.cat(self.positives(inputs), 1), counted, self.temperature)


def build(name: str, shapes: Shapes, settings: TermSettings) -> Term:
    """The term `{modality}.moco`: two crops, one query and one key."""
    return MocoTerm(modality_of(name), 2, Momentum(settings["momentum"]), settings, shapes, symmetric=False)
