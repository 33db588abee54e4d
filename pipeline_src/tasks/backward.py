"""Backward: does the clip play forward or reversed, the arrow of time (Pickup et al. 2014; binary cross-entropy)?"""

from pipeline_src.tasks.recognise import RecogniseTerm
from pipeline_src.tasks.term import Shapes, Term, TermSettings, modality_of

TERMS = ("rgb.backward", "flow.backward", "grey.backward")
SETTINGS = {
    "hidden": {"default": 64, "minimum": 1, "maximum": 65536, "help": "size of the head's hidden layer"},
}


def build(name: str, shapes: Shapes, settings: TermSettings) -> Term:
    """The term `{modality}.backward`."""
    return RecogniseTerm(modality_of(name), "reversed", settings["hidden"], shapes)
