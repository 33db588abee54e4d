"""Temporal transformations: which playback is it, 1x, 2x, 4x, random, periodic or warped (cross-entropy)?"""

from pipeline_src.batches.moments import PLAYBACKS
from pipeline_src.batches.views import View
from pipeline_src.tasks.classify import ClassifyTerm
from pipeline_src.tasks.term import Shapes, Term, TermSettings, modality_of

GROUP = "time"
TERMS = ("rgb.temporal_transformations",)
SETTINGS = {"hidden": {"default": 512, "minimum": 1, "maximum": 65536, "help": "size of the head's hidden layer"}}
SOURCE = "Jenni et al. 2020, Video Representation Learning by Recognizing Temporal Transformations"


def build(name: str, shapes: Shapes, settings: TermSettings) -> Term:
    """The term `{modality}.temporal_transformations`."""
    return ClassifyTerm(View(modality_of(name), "playback"), len(PLAYBACKS), settings["hidden"], shapes)
