"""Speed: does the clip play at normal or at double speed (binary cross-entropy)?"""

from pipeline_src.batches.views import View
from pipeline_src.tasks.recognise import RecogniseTerm
from pipeline_src.tasks.term import Shapes, Term, TermSettings, modality_of

GROUP = "time"
TERMS = ("rgb.speed",)
SETTINGS = {"hidden": {"default": 64, "minimum": 1, "maximum": 65536, "help": "size of the head's hidden layer"}}
SOURCE = "Benaim et al. 2020, SpeedNet"


def build(name: str, shapes: Shapes, settings: TermSettings) -> Term:
    """The term `{modality}.speed`."""
    modality = modality_of(name)
    return RecogniseTerm(View(modality, "speed"), settings["hidden"], shapes)
