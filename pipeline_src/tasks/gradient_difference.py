"""Gradient difference: predict the next frames, at several scales, with sharp edges (L1 and gradient difference)."""

import torch
from torch import Tensor
from torch.nn import functional

from pipeline_src.batches.views import View
from pipeline_src.networks.parallel import mean_over_clips
from pipeline_src.tasks.picture import PictureTerm
from pipeline_src.tasks.term import Inputs, Outcome, Shapes, Term, TermSettings, modality_of

GROUP = "pixels"
TERMS = ("rgb.gradient_difference",)
SETTINGS = {
    "gradient": {"default": 1.0, "minimum": 0.0, "maximum": 100.0, "help": "weight of the gradient difference"},
    "scales": {"default": 3, "minimum": 1, "maximum": 6, "help": "sizes of the picture, each half the one before"},
}
SOURCE = "Mathieu et al. 2016, Deep Multi-Scale Video Prediction beyond Mean Square Error, equations 5 and 7"


class GradientDifferenceTerm(PictureTerm):
    """Mean over scales of |Y - X|_1 + gradient * (| |dY| - |dX| |_1 along both axes).

    Args:
        modality: whose clips.
        gradient, scales: see SETTINGS.
        shapes: sizes.
    """

    def __init__(self, modality: str, gradient: float, scales: int, shapes: Shapes) -> None:
        super().__init__(View(modality), View(modality, "next"), shapes.future_frames, shapes)
        self.gradient, self.scales = gradient, scales

    def forward(self, inputs: Inputs) -> Tensor | None:
        """The mean over clips; None where no clip goes on long enough."""
        painted, wanted = self.pictures(inputs)
        return mean_over_clips(self._error(painted, wanted))

    def outcome(self, inputs: Inputs) -> Outcome | None:
        """The same error, against that of the mean picture."""
        painted, wanted = self.pictures(inputs)
        if len(wanted) < 2:
            return None
        mean = wanted.mean(0, keepdim=True).expand_as(wanted)
        return Outcome(self._error(painted, wanted), self._error(mean, wanted), error=True)

    def _error(self, painted: Tensor, wanted: Tensor) -> Tensor:
        """(N,) errors of clips."""
        losses = []
        for scale in range(self.scales):
            if scale:
                if min(painted.shape[3:]) < 2:
                    break
                painted, wanted = (functional.avg_pool3d(x, (1, 2, 2)) for x in (painted, wanted))
            loss = (painted - wanted).abs().flatten(1).mean(1)
            for axis in (3, 4):
                if painted.shape[axis] > 1:
                    steps = (torch.diff(x, dim=axis).abs() for x in (painted, wanted))
                    edge, true_edge = steps
                    loss = loss + self.gradient * (edge - true_edge).abs().flatten(1).mean(1)
            losses.append(loss)
        return torch.stack(losses, 1).mean(1)


def build(name: str, shapes: Shapes, settings: TermSettings) -> Term:
    """The term `{modality}.gradient_difference`."""
    return GradientDifferenceTerm(modality_of(name), settings["gradient"], settings["scales"], shapes)
