"""Rotation: is the clip turned by 0, 90, 180 or 270 degrees (cross-entropy)?"""

from pipeline_src.batches.views import View
from pipeline_src.tasks.classify import ClassifyTerm
from pipeline_src.tasks.term import Shapes, Term, TermSettings, modality_of

GROUP = "space"
TERMS = ("rgb.rotation",)
SETTINGS = {"hidden": {"default": 64, "minimum": 1, "maximum": 65536, "help": "size of the head's hidden layer"}}
SOURCE = "Jing et al. 2018, Self-Supervised Spatiotemporal Feature Learning via Video Rotation Prediction; TransRank"


def build(name: str, shapes: Shapes, settings: TermSettings) -> Term:
    """The term `{modality}.rotation`."""
    return ClassifyTerm(View(modality_of(name), "rotated"), 4, settings["hidden"], shapes)
