"""Future: from the frames of a window predict the next ones; of a spectrogram its next part (mean squared error)."""

from pipeline_src.batches.views import View
from pipeline_src.tasks.picture import PictureTerm
from pipeline_src.tasks.term import Shapes, Term, TermSettings, modality_of

GROUP = "elo"
TERMS = ("rgb.future", "flow.future", "grey.future", "audio.future")
SETTINGS: dict[str, dict[str, object]] = {}
SOURCE = "Srivastava et al. 2015, Unsupervised Learning of Video Representations using LSTMs; ELo"


def build(name: str, shapes: Shapes, settings: TermSettings) -> Term:
    """The term `{modality}.future`."""
    modality = modality_of(name)
    return PictureTerm(View(modality), View(modality, "next"), shapes.future_frames, shapes)
