"""Shuffle: are the frames of a clip, or the segments of a spectrogram, in order (ELo; binary cross-entropy)?"""

from pipeline_src.batches.views import View
from pipeline_src.tasks.recognise import RecogniseTerm
from pipeline_src.tasks.term import Shapes, Term, TermSettings, modality_of

GROUP = "elo"
TERMS = ("rgb.shuffle", "flow.shuffle", "grey.shuffle", "audio.shuffle")
SETTINGS = {
    "hidden": {"default": 64, "minimum": 1, "maximum": 65536, "help": "size of the head's hidden layer"},
    "segments": {"default": 4, "minimum": 2, "maximum": 6, "help": "equal parts of a spectrogram that are shuffled"},
}
SOURCE = "Piergiovanni et al. 2020, Evolving Losses; after Misra et al. 2016, Shuffle and Learn"


def build(name: str, shapes: Shapes, settings: TermSettings) -> Term:
    """The term `{modality}.shuffle`."""
    modality = modality_of(name)
    changed = View(modality, "shuffled")
    if modality == "audio":
        changed = View(modality, "segments", (settings["segments"],))
    return RecogniseTerm(changed, settings["hidden"], shapes)
