"""Shuffle: are the frames in order (after Misra et al. 2016; binary cross-entropy)?"""

from pipeline_src.tasks.recognise import RecogniseTerm
from pipeline_src.tasks.term import Shapes, Term, TermSettings, modality_of

TERMS = ("rgb.shuffle", "flow.shuffle", "grey.shuffle")
SETTINGS = {
    "hidden": {"default": 64, "minimum": 1, "maximum": 65536, "help": "size of the head's hidden layer"},
}


def build(name: str, shapes: Shapes, settings: TermSettings) -> Term:
    """The term `{modality}.shuffle`."""
    return RecogniseTerm(modality_of(name), "shuffled", settings["hidden"], shapes)
