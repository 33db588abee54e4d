"""Cycle-consistency: from a frame to its nearest neighbour in another crop of the clip and back, to where it began."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline_src.batches.views import View
from pipeline_src.tasks.frames import changes, frame_embeddings
from pipeline_src.tasks.term import Inputs, Outcome, Shapes, Term, TermSettings, accuracy, modality_of, usable_rows

GROUP = "time"
TERMS = ("rgb.cycle_consistency",)
SETTINGS = {
    "temperature": {"default": 0.1, "minimum": 0.001, "maximum": 10.0, "help": "divides squared distances"},
    "variance": {"default": 0.001, "minimum": 0.0, "maximum": 1.0, "help": "weight of the log of the landing's spread"},
    "size": {"default": 128, "minimum": 2, "maximum": 65536, "help": "size of the frames' features"},
}
SOURCE = "Dwibedi et al. 2019, Temporal Cycle-Consistency Learning, equation 3"


class CycleConsistencyTerm(Term):
    """Mean of |i - mu|^2 / sigma^2 + variance * log sigma: frame i lands at mu, spread by sigma.

    There: the soft nearest neighbour of frame i among the other crop's frames. Back: how near each frame of the first
    crop is to that. Places are shares of the window. Of each frame, only what sets it apart in its clip is compared.

    Args:
        modality: whose clips.
        settings: temperature, variance, size.
        shapes: sizes.
    """

    def __init__(self, modality: str, settings: TermSettings, shapes: Shapes) -> None:
        super().__init__()
        self.encoded = (View(modality, "frames1"), View(modality, "frames2"))
        self.frames = shapes.frames
        self.temperature, self.variance = settings["temperature"], settings["variance"]
        self.head = nn.Linear(shapes.embedding(modality), settings["size"])

    def forward(self, inputs: Inputs) -> Tensor | None:
        """The mean over frames and clips; None where no clip is long enough."""
        places, landed, spread = self._landings(inputs)
        if not len(landed):
            return None
        return ((places - landed).square() / spread + self.variance * 0.5 * torch.log(spread)).mean()

    def outcome(self, inputs: Inputs) -> Outcome | None:
        """Right where the other crop's nearest frame is of the same time.

        Where a frame lands after its way back is no measure: even by way of another clip that is more often near to
        itself than to others.
        """
        one, two = self._frames(inputs)
        if not len(one):
            return None
        nearest = _squared(one, two).argmin(2)
        right = nearest == torch.arange(self.frames, device=nearest.device)
        return accuracy(right.flatten(), 1 / self.frames)

    def _landings(self, inputs: Inputs) -> tuple[Tensor, Tensor, Tensor]:
        """The frames' places (T,), and where each lands and how widely, (M, T)."""
        back = self._back(inputs)
        places = torch.linspace(0, 1, self.frames, device=back.device, dtype=back.dtype)
        landed = (back * places).sum(2)
        # At least as wide as frames are apart: a sharp landing's gradient would be all of a weighted sum's.
        spread = (back * (places - landed[:, :, None]).square()).sum(2) + 1 / (self.frames - 1) ** 2
        return places, landed, spread

    def _back(self, inputs: Inputs) -> Tensor:
        """(M, T, T): for every frame, where its way there and back ends, as probabilities."""
        one, two = self._frames(inputs)
        there = torch.softmax(-_squared(one, two) / self.temperature, 2) @ two
        return torch.softmax(-_squared(there, one) / self.temperature, 2)

    def _frames(self, inputs: Inputs) -> list[Tensor]:
        """(M', T, D) for each crop: its frames' features, of length 1."""
        rows = usable_rows(inputs, *self.encoded)
        embedded = (changes(frame_embeddings(inputs, view, self.frames)[rows]) for view in self.encoded)
        return [functional.normalize(self.head(frames), dim=2) for frames in embedded]


def _squared(one: Tensor, two: Tensor) -> Tensor:
    """(M, T, T) squared distances of (M, T, D) to (M, T, D)."""
    return (one[:, :, None] - two[:, None]).square().sum(3)


def build(name: str, shapes: Shapes, settings: TermSettings) -> Term:
    """The term `{modality}.cycle_consistency`."""
    return CycleConsistencyTerm(modality_of(name), settings, shapes)
