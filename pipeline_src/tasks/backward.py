"""Backward: does the clip play forward or reversed, the arrow of time (binary cross-entropy)?"""

from pipeline_src.batches.views import View
from pipeline_src.tasks.recognise import RecogniseTerm
from pipeline_src.tasks.term import Shapes, Term, TermSettings, modality_of

GROUP = "elo"
TERMS = ("rgb.backward", "flow.backward", "grey.backward", "audio.backward")
SETTINGS = {
    "hidden": {"default": 64, "minimum": 1, "maximum": 65536, "help": "size of the head's hidden layer"},
}
SOURCE = "Pickup et al. 2014, Seeing the Arrow of Time; Wei et al. 2018; ELo"


def build(name: str, shapes: Shapes, settings: TermSettings) -> Term:
    """The term `{modality}.backward`."""
    modality = modality_of(name)
    return RecogniseTerm(View(modality, "reversed"), settings["hidden"], shapes)
