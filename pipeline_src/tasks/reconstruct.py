"""Reconstruct: decode the input clip, an autoencoder (ELo; mean squared error)."""

from pipeline_src.batches.views import View
from pipeline_src.tasks.picture import PictureTerm
from pipeline_src.tasks.term import Shapes, Term, TermSettings, modality_of

GROUP = "elo"
TERMS = ("rgb.reconstruct", "flow.reconstruct", "grey.reconstruct", "audio.reconstruct")
SETTINGS: dict[str, dict[str, object]] = {}
SOURCE = "Piergiovanni et al. 2020, Evolving Losses"


def build(name: str, shapes: Shapes, settings: TermSettings) -> Term:
    """The term `{modality}.reconstruct`."""
    view = View(modality_of(name))
    return PictureTerm(view, view, shapes.frames, shapes)
