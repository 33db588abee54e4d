"""Views: a modality, what is done to its window before it is encoded, and how strongly.

A transform reads one moment of the clip (`moments.py`) and changes it, batched, on the training device
(`transforms.py`).
"""

from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from pipeline_src.batches.draws import Draws
from pipeline_src.batches.transforms import TRANSFORMS


@dataclass(frozen=True, order=True)
class View:
    """What an encoder sees, or a term compares with.

    Attributes:
        modality: rgb, flow, grey or audio.
        transform: a key of TRANSFORMS.
        settings: the transform's own numbers, such as the share of a clip that is masked.
    """

    modality: str
    transform: str = "plain"
    settings: tuple[float, ...] = ()

    def __str__(self) -> str:
        return ":".join([self.modality, self.transform, *(f"{number:g}" for number in self.settings)])


class Seen(NamedTuple):
    """A view of a batch.

    Attributes:
        clips: (N * K, C, T, H, W), or (N * K, 1, columns, mels) for audio; K views of each of N clips, one after the
            other, where a view consists of several frames or pieces.
        label: what was drawn for it, such as the rotation, (N, ...); None where nothing was.
    """

    clips: Tensor
    label: Tensor | None


def moment(view: View) -> str:
    """Which moment of the clip the view reads."""
    return TRANSFORMS[view.transform].moment


def apply(view: View, window: Tensor, draws: Draws) -> Seen:
    """Make the view of a batch of normalised windows (N, C, T, H, W) or (N, 1, columns, mels) of its moment."""
    clips, label = TRANSFORMS[view.transform].change(window, draws, *view.settings)
    return Seen(clips, label)
