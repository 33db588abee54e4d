"""rho-SimCLR: SimCLR whose positives are rho temporally distant crops of a clip."""

from pipeline_src.tasks.simclr import SimclrTerm
from pipeline_src.tasks.term import Shapes, Term, TermSettings, modality_of

GROUP = "contrast"
TERMS = ("rgb.rho_simclr",)
SETTINGS = {
    "rho": {"default": 3, "minimum": 2, "maximum": 4, "help": "temporal crops a clip; the authors' code takes 4"},
    "temperature": {"default": 0.1, "minimum": 0.001, "maximum": 10.0, "help": "divides similarities"},
    "size": {"default": 128, "minimum": 2, "maximum": 65536, "help": "size of the space of comparison"},
    "hidden": {
        "default": 2048,
        "minimum": 1,
        "maximum": 65536,
        "help": "size of the head's hidden layer; theirs has two",
    },
}
SOURCE = "Feichtenhofer et al. 2021, Unsupervised Spatiotemporal Representation Learning"


def build(name: str, shapes: Shapes, settings: TermSettings) -> Term:
    """The term `{modality}.rho_simclr`."""
    return SimclrTerm(modality_of(name), settings["rho"], settings, shapes)
