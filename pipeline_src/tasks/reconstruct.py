"""Reconstruct: decode the input clip, an autoencoder (mean squared error)."""

from pipeline_src.batches.views import View
from pipeline_src.tasks.picture import PictureTerm
from pipeline_src.tasks.term import Shapes, Term, TermSettings, modality_of

TERMS = ("rgb.reconstruct", "flow.reconstruct", "grey.reconstruct")
SETTINGS: dict[str, dict[str, object]] = {}


def build(name: str, shapes: Shapes, settings: TermSettings) -> Term:
    """The term `{modality}.reconstruct`."""
    view = View(modality_of(name), "plain")
    return PictureTerm(view, view, shapes.frames, shapes)
