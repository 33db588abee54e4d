"""Slow and steady features: neighbouring frames alike and changing evenly, far frames apart (contrastive margin)."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline_src.batches.views import View
from pipeline_src.tasks.frames import frame_embeddings
from pipeline_src.tasks.term import (
    Inputs,
    Outcome,
    Shapes,
    Term,
    TermSettings,
    accuracy,
    modality_of,
    other_video,
    usable_rows,
)

GROUP = "time"
MINIMUM_FRAMES = 5
TERMS = ("rgb.slow_steady",)
SETTINGS = {
    "steady": {"default": 1.0, "minimum": 0.0, "maximum": 100.0, "help": "weight of the second differences"},
    "margin": {"default": 1.0, "minimum": 0.0, "maximum": 100.0, "help": "wanted distance of frames that are not near"},
    "size": {"default": 128, "minimum": 2, "maximum": 65536, "help": "size of the frames' features"},
}
SOURCE = "Jayaraman and Grauman 2016, Slow and Steady Feature Analysis"


class SlowSteadyTerm(Term):
    """d(z_t, z_t+1) + steady * d(z_t - z_t+1, z_t+1 - z_t+2), far ones by max(0, margin - sqrt d)^2.

    d is the squared distance, features have length 1; the mean of both parts. Far from a frame is the one half a window
    away, around its end, and another video's at the same time; far from a difference is the one half a window away.

    Args:
        modality: whose clips.
        settings: steady, margin, size.
        shapes: sizes; windows have at least five frames.
    """

    def __init__(self, modality: str, settings: TermSettings, shapes: Shapes) -> None:
        super().__init__()
        self.encoded = (View(modality, "frames"),)
        self.frames = shapes.frames
        self.steady, self.margin = settings["steady"], settings["margin"]
        self.head = nn.Linear(shapes.embedding(modality), settings["size"])

    def forward(self, inputs: Inputs) -> Tensor | None:
        """The mean over frames and clips; None where no clip is long enough."""
        z, videos = self._features(inputs)
        if not len(z):
            return None
        change = z[:, 1:] - z[:, :-1]
        away = self._away(z, z.roll(self.frames // 2, 1))
        if len(z) > 1:
            away = (away + self._away(z, z[other_video(videos)])) / 2
        slow = change.square().sum(2).mean() + away
        bend = change[:, 1:] - change[:, :-1]
        steady = bend.square().sum(2).mean() + self._away(change, change.roll(self.frames // 2, 1))
        return (slow + self.steady * steady) / 2

    def outcome(self, inputs: Inputs) -> Outcome | None:
        """Right where a frame is nearer to the next one than to the frame half a window on."""
        z, _ = self._features(inputs)
        if not len(z):
            return None
        half = self.frames // 2
        first = z[:, : self.frames - half]
        near = (first - z[:, 1 : self.frames - half + 1]).square().sum(2)
        far = (first - z[:, half:]).square().sum(2)
        return accuracy((near < far).flatten(), 0.5)

    def _features(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """(M', T, D) of clips that are long enough, and the numbers of their videos."""
        rows = usable_rows(inputs, self.encoded[0])
        frames = frame_embeddings(inputs, self.encoded[0], self.frames)[rows]
        return functional.normalize(self.head(frames), dim=2), inputs.videos[rows]

    def _away(self, one: Tensor, two: Tensor) -> Tensor:
        distance = torch.sqrt((one - two).square().sum(2) + 1e-8)
        return functional.relu(self.margin - distance).square().mean()


def build(name: str, shapes: Shapes, settings: TermSettings) -> Term:
    """The term `{modality}.slow_steady`."""
    return SlowSteadyTerm(modality_of(name), settings, shapes)
