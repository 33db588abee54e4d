"""Masked reconstruction: decode what was hidden, in tubes through all frames (mean squared error of hidden places)."""

from torch import Tensor
from torch.nn import functional

from pipeline_src.batches.views import View
from pipeline_src.networks.parallel import mean_over_clips
from pipeline_src.tasks.picture import PictureTerm
from pipeline_src.tasks.term import Inputs, Outcome, Shapes, Term, TermSettings, modality_of, unseen

GROUP = "pixels"
TERMS = ("rgb.masked",)
SETTINGS = {
    "share": {"default": 0.75, "minimum": 0.01, "maximum": 0.99, "help": "share of a picture that is hidden"},
    "patch": {"default": 16, "minimum": 1, "maximum": 256, "help": "side of a hidden square in pixels"},
}
SOURCE = "He et al. 2022, Masked Autoencoders; tubes: Tong et al. 2022, VideoMAE"


class MaskedTerm(PictureTerm):
    """Mean squared error over hidden places.

    Args:
        modality: whose clips.
        share, patch: see SETTINGS.
        shapes: sizes.
    """

    def __init__(self, modality: str, share: float, patch: int, shapes: Shapes) -> None:
        super().__init__(View(modality, "masked", (share, patch)), View(modality), shapes.frames, shapes)

    def forward(self, inputs: Inputs) -> Tensor | None:
        """The mean over clips of each clip's mean over its hidden places."""
        painted, wanted = self.pictures(inputs)
        return mean_over_clips(self._hidden(inputs, (painted - wanted).square()))

    def outcome(self, inputs: Inputs) -> Outcome | None:
        """Against the mean picture, at hidden places."""
        painted, wanted = self.pictures(inputs)
        if len(wanted) < 2:
            return None
        mean = wanted.mean(0, keepdim=True)
        error, trivial = (self._hidden(inputs, (guess - wanted).square()) for guess in (painted, mean))
        return Outcome(error, unseen(trivial), error=True)

    def _hidden(self, inputs: Inputs, error: Tensor) -> Tensor:
        """(N,) mean of errors (N, C, T, h, w) over hidden places, each counted by its hidden part."""
        mask = functional.adaptive_avg_pool2d(inputs.labels[self.encoded[0]], self._shape[1:])  # type: ignore[arg-type]
        return (error.mean((1, 2)) * mask[:, 0]).sum((1, 2)) / mask.sum((1, 2, 3))


def build(name: str, shapes: Shapes, settings: TermSettings) -> Term:
    """The term `{modality}.masked`."""
    return MaskedTerm(modality_of(name), settings["share"], settings["patch"], shapes)
