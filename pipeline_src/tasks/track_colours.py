"""Tracking by colourisation: copy colours from earlier frames, by attention between grey features (cross-entropy)."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline_src.batches.views import View
from pipeline_src.networks.parallel import mean_over_clips
from pipeline_src.tasks.term import Inputs, Outcome, Shapes, Term, TermSettings, pair_of

GROUP = "pixels"
TERMS = ("grey>rgb.track_colours",)
SETTINGS = {
    "layer": {"default": 2, "minimum": 1, "maximum": 4, "help": "layer whose activations are compared"},
    "references": {"default": 3, "minimum": 1, "maximum": 16, "help": "earlier time steps to copy colours from"},
    "size": {"default": 64, "minimum": 2, "maximum": 65536, "help": "size of the compared features"},
    "temperature": {"default": 0.5, "minimum": 0.001, "maximum": 10.0, "help": "divides similarities"},
}
SOURCE = "Vondrick et al. 2018, Tracking Emerges by Colorizing Videos"

# Quartiles of the standard normal distribution: 4 x 4 colours, about equally frequent.
EDGES = (-0.6745, 0.0, 0.6745)
COLOURS = 16


class TrackColoursTerm(Term):
    """-log((share + 0.001) / 1.001) of the attention's share of the right colour, over places of the last time step.

    Two axes of colour, red against green and blue against both, in units of their deviation in the clip, are cut
    into four parts each. The paper clusters colours; quartiles give as balanced classes without a pass over the data.

    Args:
        first, second: grey and rgb.
        settings: layer, references, size, temperature.
        shapes: sizes.
    """

    def __init__(self, first: str, second: str, settings: TermSettings, shapes: Shapes) -> None:
        super().__init__()
        self.encoded = (View(first),)
        self.targets = (View(second),)
        self.layer = settings["layer"] - 1
        self.references, self.temperature = settings["references"], settings["temperature"]
        self.head = nn.Linear(shapes.layers[first][self.layer], settings["size"])

    def forward(self, inputs: Inputs) -> Tensor | None:
        """The mean cross-entropy; None where the layer has a single time step."""
        found = self._copied(inputs)
        if found is None:
            return None
        copied, colour, _ = found
        share = copied.gather(2, colour[:, :, None]).squeeze(2)
        # A colour that no earlier frame shows cannot be copied: it costs as much as guessing one in a thousand.
        return mean_over_clips(-torch.log((share + 1e-3) / (1 + 1e-3)).mean(1))

    def outcome(self, inputs: Inputs) -> Outcome | None:
        """Share of places with the right colour, against always the earlier frames' most frequent one."""
        found = self._copied(inputs)
        if found is None:
            return None
        copied, colour, known = found
        right = (copied.argmax(2) == colour).float().mean(1)
        common = known.sum(1).argmax(1, keepdim=True)
        return Outcome(right, (colour == common).float().mean(1))

    def _copied(self, inputs: Inputs) -> tuple[Tensor, Tensor, Tensor] | None:
        """Per place of the last step the copied colours' shares (N, places, COLOURS), and the colour there.

        Also the colours of the earlier places, one-hot, (N, earlier places, COLOURS).
        """
        activations = inputs.features[self.encoded[0]].layers[self.layer]
        steps = activations.shape[2]
        if steps < 2:
            return None
        z = functional.normalize(self.head(activations.movedim(1, -1)), dim=-1)
        references = min(self.references, steps - 1)
        query = z[:, -1].flatten(1, 2)
        there = z[:, -1 - references : -1].flatten(1, 3)
        attention = torch.softmax(query @ there.transpose(1, 2) / self.temperature, 2)
        colours = quantised(functional.adaptive_avg_pool3d(inputs.targets[self.targets[0]], activations.shape[2:]))  # type: ignore[arg-type]
        known = functional.one_hot(colours[:, -1 - references : -1].flatten(1), COLOURS).to(attention.dtype)
        return attention @ known, colours[:, -1].flatten(1), known


def quantised(clips: Tensor) -> Tensor:
    """Numbers (N, T, H, W) of the colours of normalised clips (N, 3, T, H, W)."""
    red, green, blue = clips.float().unbind(1)
    edges = torch.tensor(EDGES, device=clips.device)
    axes = []
    for axis in (red - green, blue - (red + green) / 2):
        # Less than a thousandth is rounding: a clip without colours has one colour, not noise.
        deviation = axis.flatten(1).std(1).clamp_min(1e-3).view(-1, 1, 1, 1)
        middle = axis.flatten(1).mean(1).view(-1, 1, 1, 1)
        axes.append(torch.bucketize((axis - middle) / deviation, edges))
    return axes[0] * (len(EDGES) + 1) + axes[1]


def build(name: str, shapes: Shapes, settings: TermSettings) -> Term:
    """The term `{first}>{second}.track_colours`."""
    first, second = pair_of(name, ">")
    return TrackColoursTerm(first, second, settings, shapes)
