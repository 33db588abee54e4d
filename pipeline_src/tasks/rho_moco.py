"""rho-MoCo: MoCo whose positives are rho temporally distant crops of a clip, with a rising momentum."""

from pipeline_src.tasks.moco import MocoTerm
from pipeline_src.tasks.term import Momentum, Shapes, Term, TermSettings, modality_of

GROUP = "contrast"
TERMS = ("rgb.rho_moco",)
SETTINGS = {
    "rho": {"default": 2, "minimum": 2, "maximum": 4, "help": "temporal crops a clip; the authors' code takes 4"},
    "temperature": {"default": 0.1, "minimum": 0.001, "maximum": 10.0, "help": "divides similarities"},
    "momentum": {"default": 0.994, "minimum": 0.0, "maximum": 1.0, "help": "share kept at the start; it rises to 1"},
    "queue": {"default": 65536, "minimum": 1, "maximum": 1_000_000, "help": "keys that are kept as negatives"},
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
    """The term `{modality}.rho_moco`."""
    momentum = Momentum(settings["momentum"], rises=True)
    return MocoTerm(modality_of(name), settings["rho"], momentum, settings, shapes, symmetric=True)
