"""Decoupling of context and motion: match a clip with a still of its video, and predict its coming motion (InfoNCE).

With flow from motion vectors (`flow.method: motion_vectors`) this is the paper's method, which reads nothing but what
the compressed video holds.
"""

import math

import torch
from torch import Tensor, nn

from pipeline_src.batches.views import View
from pipeline_src.networks.heads import Projector
from pipeline_src.networks.parallel import gather
from pipeline_src.tasks.contrast import info_nce, others, unit
from pipeline_src.tasks.term import Inputs, Outcome, Shapes, Term, TermSettings, retrieval

GROUP = "contrast"
TERMS = ("rgb.decoupled_context", "rgb>flow.decoupled_motion")
SETTINGS = {
    "temperature": {"default": 0.1, "minimum": 0.001, "maximum": 10.0, "help": "divides similarities"},
    "size": {"default": 128, "minimum": 2, "maximum": 65536, "help": "size of the space of comparison"},
    "hidden": {"default": 512, "minimum": 1, "maximum": 65536, "help": "size of the heads' hidden layers"},
}
SOURCE = "Huang et al. 2021, Self-supervised Video Representation Learning by Context and Motion Decoupling"


class ContextTerm(Term):
    """InfoNCE, both ways, of a clip with a still frame from anywhere in it, against other videos.

    Args:
        settings: temperature, size, hidden.
        shapes: sizes.
    """

    def __init__(self, settings: TermSettings, shapes: Shapes) -> None:
        super().__init__()
        self.encoded = (View("rgb"), View("rgb", "keyframe"))
        self.temperature = settings["temperature"]
        inputs = shapes.embedding("rgb")
        self.clip_head = Projector(inputs, settings["hidden"], settings["size"])
        self.still_head = Projector(inputs, settings["hidden"], settings["size"])

    def forward(self, inputs: Inputs) -> Tensor:
        """The mean over both directions."""
        clip, still = self._projected(inputs)
        own = torch.eye(len(clip), dtype=torch.bool, device=clip.device)
        rival = others(inputs.videos, inputs.videos)
        both = [info_nce(similarity, own, rival, self.temperature) for similarity in (clip @ still.T, still @ clip.T)]
        return torch.stack(both).mean()

    def outcome(self, inputs: Inputs) -> Outcome:
        """Right where the nearest still is the clip's own."""
        return retrieval(*self._projected(inputs), inputs.videos)

    def _projected(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        clip, still = (inputs.features[view].embedding for view in self.encoded)
        return unit(self.clip_head(clip)), unit(self.still_head(still))


class MotionTerm(Term):
    """InfoNCE of the predicted feature of the coming motion at each place, against all other places of all videos.

    Args:
        settings: temperature, size, hidden.
        shapes: sizes.
    """

    def __init__(self, settings: TermSettings, shapes: Shapes) -> None:
        super().__init__()
        self.encoded = (View("rgb"), View("flow", "next"))
        self.temperature = settings["temperature"]
        self.places = math.prod(shapes.places["rgb"][1:])
        self.predictor = Projector(shapes.embedding("rgb"), settings["hidden"], settings["size"])
        self.motion_head = nn.Linear(shapes.embedding("flow"), settings["size"])

    def forward(self, inputs: Inputs) -> Tensor | None:
        """The mean over places; None where no clip goes on long enough."""
        predicted, seen = self._places(inputs)
        if len(predicted) < 2:
            return None
        own = torch.eye(len(predicted), dtype=torch.bool, device=predicted.device)
        clips = inputs.usable[self.encoded[1]].nonzero().squeeze(1).repeat_interleave(self.places)
        videos = inputs.videos[clips]
        counted = (clips[:, None] == clips[None]) | (videos[:, None] != videos[None])
        return info_nce(predicted @ seen.T, own, counted & ~own, self.temperature)

    def outcome(self, inputs: Inputs) -> Outcome | None:
        """Right where, at a place, the nearest motion among videos is the clip's own."""
        predicted, seen = self._places(inputs)
        if len(predicted) < 2:
            return None
        videos = inputs.videos[inputs.usable[self.encoded[1]]]
        one, two = (x.unflatten(0, (len(videos), -1)).unbind(1) for x in (predicted, seen))
        found = [retrieval(guess, truth, videos) for guess, truth in zip(one, two, strict=True)]
        return Outcome(torch.stack([place.values for place in found]).mean(0), found[0].trivial)

    def _places(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """Predicted and seen features (M' * places, size) of length 1."""
        rows = inputs.usable[self.encoded[1]][inputs.mine].nonzero().squeeze(1)
        # Averaged over time; each place of the picture is one.
        clip, motion = (
            inputs.features[view].layers[3][rows].mean(2).flatten(2).transpose(1, 2) for view in self.encoded
        )
        clip, motion = gather(clip.contiguous()).flatten(0, 1), gather(motion.contiguous()).flatten(0, 1)
        return unit(self.predictor(clip)), unit(self.motion_head(motion))


def build(name: str, shapes: Shapes, settings: TermSettings) -> Term:
    """`rgb.decoupled_context` or `rgb>flow.decoupled_motion`."""
    return ContextTerm(settings, shapes) if name == "rgb.decoupled_context" else MotionTerm(settings, shapes)
