"""Distill: the rgb network's activations pulled towards those of another modality's network (equation 1's L_d)."""

from torch import Tensor, nn
from torch.nn import functional

from pipeline_src.batches.views import View
from pipeline_src.networks.parallel import mean_over_clips
from pipeline_src.tasks.term import Inputs, Outcome, Shapes, Term, TermSettings, matching, squared_error

GROUP = "elo"
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
SOURCE = "Piergiovanni et al. 2020, Evolving Losses, equation 1"
SETTINGS = {
    "into_rgb_only": {
        "default": True,
        "help": "the teacher's side has no gradient; off: both networks move towards each other",
    },
}


class DistillTerm(Term):
    """Mean squared difference between activations of the rgb network and of a teacher.

    Flow and grey networks have rgb's shapes, so activations are compared place by place. Audio shares time alone:
    layers are averaged over pictures and bands, both to the coarser one's time steps, and rgb's channels are mapped
    linearly to the teacher's, as the regressor of Romero et al. 2015, FitNets (mapping the teacher's instead could make
    all targets alike). Embeddings are averaged over time, too.

    Args:
        teacher: flow, grey or audio.
        place: layer1 to layer4, or embedding.
        into_rgb_only: whether the teacher's activations are detached.
        shapes: sizes.
    """

    def __init__(self, teacher: str, place: str, into_rgb_only: bool, shapes: Shapes) -> None:
        super().__init__()
        self.encoded = (View("rgb"), View(teacher))
        self.layer = 3 if place == "embedding" else int(place.removeprefix("layer")) - 1
        self.pooled, self.audio = place == "embedding", teacher == "audio"
        self.into_rgb_only = into_rgb_only
        self.adapt: nn.Module = nn.Identity()
        if teacher == "audio":
            self.adapt = nn.Linear(shapes.layers["rgb"][self.layer], shapes.layers[teacher][self.layer])

    def forward(self, inputs: Inputs) -> Tensor | None:
        """The mean squared difference; None when no clip has both modalities."""
        ours, theirs = self._activations(inputs)
        return mean_over_clips((ours - theirs).square().flatten(1).mean(1))

    def outcome(self, inputs: Inputs) -> Outcome | None:
        """Against the teacher's mean."""
        ours, theirs = self._activations(inputs)
        return squared_error(ours, theirs) if len(theirs) > 1 else None

    def _activations(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        student, teacher = matching(*(inputs.features[view] for view in self.encoded))
        ours, theirs = student.layers[self.layer], teacher.layers[self.layer]
        if self.pooled:
            ours, theirs = ours.flatten(2).mean(2), theirs.flatten(2).mean(2)
        elif self.audio:
            steps = min(ours.shape[2], theirs.shape[2])
            ours, theirs = (functional.adaptive_avg_pool1d(x.flatten(3).mean(3), steps).mT for x in (ours, theirs))
        if self.into_rgb_only:
            theirs = theirs.detach()
        return self.adapt(ours), theirs


def build(name: str, shapes: Shapes, settings: TermSettings) -> Term:
    """The term `distill.{teacher}.{place}`."""
    _, teacher, place = name.split(".")
    return DistillTerm(teacher, place, settings["into_rgb_only"], shapes)
