"""Distill: the rgb network's activations pulled towards those of another modality's network (equation 1's L_d)."""

from torch import Tensor, nn
from torch.nn import functional

from pipeline_src.batches.views import View
from pipeline_src.tasks.term import Inputs, Shapes, Term, TermSettings, matching

TERMS = (
    "distill.flow.layer1",
    "distill.flow.layer2",
    "distill.flow.layer3",
    "distill.flow.layer4",
    "distill.flow.embedding",
    "distill.grey.layer1",
    "distill.grey.layer2",
    "distill.grey.layer3",
    "distill.grey.layer4",
    "distill.grey.embedding",
    "distill.audio.layer1",
    "distill.audio.layer2",
    "distill.audio.layer3",
    "distill.audio.layer4",
    "distill.audio.embedding",
)
SETTINGS = {
    "into_rgb_only": {
        "default": True,
        "help": "the teacher's side has no gradient; off: both networks move towards each other",
    },
}


class DistillTerm(Term):
    """Mean squared difference between activations of the rgb network and of a teacher.

    Flow and grey networks have rgb's shapes, so activations are compared place by place. Audio has no such places:
    both sides are averaged over theirs, and the teacher's channels are mapped linearly to rgb's.

    Args:
        teacher: flow, grey or audio.
        place: layer1 to layer4, or embedding.
        into_rgb_only: whether the teacher's activations are detached.
        shapes: sizes.
    """

    def __init__(self, teacher: str, place: str, into_rgb_only: bool, shapes: Shapes) -> None:
        super().__init__()
        self.encoded = (View("rgb", "plain"), View(teacher, "plain"))
        self.layer = 3 if place == "embedding" else int(place.removeprefix("layer")) - 1
        self.pooled = place == "embedding" or teacher == "audio"
        self.into_rgb_only = into_rgb_only
        self.adapt: nn.Module = nn.Identity()
        if teacher == "audio":
            self.adapt = nn.Linear(shapes.layers[teacher][self.layer], shapes.layers["rgb"][self.layer])

    def forward(self, inputs: Inputs) -> Tensor | None:
        """The mean squared difference; None when no clip has both modalities."""
        student, teacher = matching(*(inputs.features[view] for view in self.encoded))
        ours, theirs = student.layers[self.layer], teacher.layers[self.layer]
        if len(ours) == 0:
            return None
        if self.pooled:
            ours, theirs = ours.flatten(2).mean(2), theirs.flatten(2).mean(2)
        if self.into_rgb_only:
            theirs = theirs.detach()
        return functional.mse_loss(ours, self.adapt(theirs))


def build(name: str, shapes: Shapes, settings: TermSettings) -> Term:
    """The term `distill.{teacher}.{place}`."""
    _, teacher, place = name.split(".")
    return DistillTerm(teacher, place, settings["into_rgb_only"], shapes)
