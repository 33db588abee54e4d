"""Terms of the loss, grouped for the eye: families, streams and distillation places."""

from collections.abc import Iterable
from dataclasses import dataclass

from pipeline_src.settings import catalogue

DISTILL = "distill"
MODALITIES = ("rgb", "flow", "grey", "audio")
PLACES = ("layer1", "layer2", "layer3", "layer4", "embedding")
FAMILIES = ("reconstruct", "future", "shuffle", "backward", "translate", "align", "embed", DISTILL)


@dataclass(frozen=True)
class Term:
    """A term's name in parts.

    Attributes:
        name: as in files, such as rgb>flow.translate or distill.flow.layer3.
        family: what the task is: shuffle, align, distill.
        stream: the modality or the pair: rgb, rgb>flow, audio~rgb; for distillation the teacher.
        place: the layer of a distillation, else "".
    """

    name: str
    family: str
    stream: str
    place: str = ""

    @property
    def pair(self) -> bool:
        """Whether two modalities take part (distillation apart)."""
        return any(sign in self.stream for sign in "~>")


def parse(name: str) -> Term:
    """Split a term's name."""
    if name.startswith(f"{DISTILL}."):
        _, teacher, place = name.split(".", 2)
        return Term(name, DISTILL, teacher, place)
    stream, last = name.rsplit(".", 1)
    return Term(name, catalogue.terms().get(name, last), stream)


def ordered(names: Iterable[str]) -> list[Term]:
    """Terms by family, then by stream and layer, as figures and tables list them."""
    return sorted(map(parse, names), key=_place)


def families(terms: Iterable[Term]) -> dict[str, list[Term]]:
    """Terms by family, distillation left out."""
    found: dict[str, list[Term]] = {}
    for term in terms:
        if term.family != DISTILL:
            found.setdefault(term.family, []).append(term)
    return found


def distillations(terms: Iterable[Term]) -> dict[str, list[Term]]:
    """Distillation terms by teacher."""
    found: dict[str, list[Term]] = {}
    for term in terms:
        if term.family == DISTILL:
            found.setdefault(term.stream, []).append(term)
    return found


def _place(term: Term) -> tuple[int, str, int, str, int, str]:
    family = FAMILIES.index(term.family) if term.family in FAMILIES else len(FAMILIES) - 2
    stream = MODALITIES.index(term.stream) if term.stream in MODALITIES else len(MODALITIES)
    place = PLACES.index(term.place) if term.place in PLACES else len(PLACES)
    return (family, term.family, stream, term.stream, place, term.name)
