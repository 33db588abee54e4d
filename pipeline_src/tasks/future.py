"""Future: from the frames of a window predict the next ones (Srivastava et al. 2015; mean squared error)."""

from pipeline_src.batches.views import View
from pipeline_src.tasks.picture import PictureTerm
from pipeline_src.tasks.term import Shapes, Term, TermSettings, modality_of

TERMS = ("rgb.future", "flow.future", "grey.future")
SETTINGS: dict[str, dict[str, object]] = {}


def build(name: str, shapes: Shapes, settings: TermSettings) -> Term:
    """The term `{modality}.future`."""
    modality = modality_of(name)
    return PictureTerm(View(modality, "plain"), View(modality, "next"), shapes.future_frames, shapes)
