"""Translate: decode one modality from the embedding of another; grey to rgb is colourisation (mean squared error)."""

from pipeline_src.batches.views import View
from pipeline_src.tasks.picture import PictureTerm
from pipeline_src.tasks.term import Shapes, Term, TermSettings, pair_of

TERMS = ("rgb>flow.translate", "grey>rgb.translate")
SETTINGS: dict[str, dict[str, object]] = {}


def build(name: str, shapes: Shapes, settings: TermSettings) -> Term:
    """The term `{source}>{target}.translate`."""
    source, target = pair_of(name, ">")
    return PictureTerm(View(source, "plain"), View(target, "plain"), shapes.frames, shapes)
