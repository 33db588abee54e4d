"""Denoise: decode the clean clip from one with noise (mean squared error)."""

from pipeline_src.batches.views import View
from pipeline_src.tasks.picture import PictureTerm
from pipeline_src.tasks.term import Shapes, Term, TermSettings, modality_of

GROUP = "pixels"
TERMS = ("rgb.denoise",)
SETTINGS = {
    "deviation": {
        "default": 0.5,
        "minimum": 0.0,
        "maximum": 10.0,
        "help": "of the normal noise, in units of the pool's deviation",
    },
}
SOURCE = "Vincent et al. 2008, Extracting and Composing Robust Features with Denoising Autoencoders"


def build(name: str, shapes: Shapes, settings: TermSettings) -> Term:
    """The term `{modality}.denoise`."""
    modality = modality_of(name)
    view = View(modality, "noisy", (settings["deviation"],))
    return PictureTerm(view, View(modality), shapes.frames, shapes)
