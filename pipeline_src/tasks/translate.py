"""Translate: decode one modality from the embedding of another; grey to rgb is colourisation (mean squared error)."""

from pipeline_src.batches.views import View
from pipeline_src.tasks.picture import PictureTerm
from pipeline_src.tasks.term import Shapes, Term, TermSettings, pair_of

GROUP = "elo"
TERMS = (
    "rgb>flow.translate",
    "grey>flow.translate",
    "grey>rgb.translate",
    "flow>rgb.translate",
    "rgb>audio.translate",
)
SETTINGS: dict[str, dict[str, object]] = {}
SOURCE = "Piergiovanni et al. 2020, Evolving Losses; Zhang et al. 2016, Colorful Image Colorization"


def build(name: str, shapes: Shapes, settings: TermSettings) -> Term:
    """The term `{source}>{target}.translate`."""
    source, target = pair_of(name, ">")
    return PictureTerm(View(source), View(target), shapes.frames, shapes)
