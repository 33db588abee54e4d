"""Aspect ratio: how far was the clip stretched (cross-entropy)? TransRank's second spatial task."""

from pipeline_src.batches.views import View
from pipeline_src.tasks.classify import ClassifyTerm
from pipeline_src.tasks.term import Shapes, Term, TermSettings, modality_of

GROUP = "space"
TERMS = ("rgb.aspect_ratio",)
SETTINGS = {
    "ratios": {
        "default": 3,
        "minimum": 2,
        "maximum": 15,
        "help": "how many aspect ratios, from 1 / largest to largest",
    },
    "largest": {"default": 2.0, "minimum": 1.1, "maximum": 4.0, "help": "largest ratio of width to height"},
    "hidden": {"default": 64, "minimum": 1, "maximum": 65536, "help": "size of the head's hidden layer"},
}
SOURCE = "Duan et al. 2022, TransRank"


def build(name: str, shapes: Shapes, settings: TermSettings) -> Term:
    """The term `{modality}.aspect_ratio`."""
    view = View(modality_of(name), "stretched", (settings["ratios"], settings["largest"]))
    return ClassifyTerm(view, settings["ratios"], settings["hidden"], shapes)
