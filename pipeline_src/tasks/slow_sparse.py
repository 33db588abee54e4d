"""Slow and sparse autoencoder: frames are decoded from features that change little and are mostly near zero."""

from torch import Tensor
from torch.nn import functional

from pipeline_src.batches.views import View
from pipeline_src.networks.heads import Decoder
from pipeline_src.networks.parallel import mean_over_clips
from pipeline_src.tasks.term import Inputs, Outcome, Shapes, Term, TermSettings, modality_of, squared_error

GROUP = "pixels"
TERMS = ("rgb.slow_sparse",)
SETTINGS = {
    "slow": {"default": 0.1, "minimum": 0.0, "maximum": 100.0, "help": "weight of |z_t - z_t+1|_1"},
    "sparse": {"default": 0.01, "minimum": 0.0, "maximum": 100.0, "help": "weight of |z|_1"},
}
SOURCE = "Goroshin et al. 2015, Unsupervised Learning of Spatiotemporally Coherent Metrics"


class SlowSparseTerm(Term):
    """Mean squared error + slow * mean |z_t - z_t+1| + sparse * mean |z|, z a frame's last activations.

    Args:
        modality: whose clips.
        settings: slow, sparse.
        shapes: sizes.
    """

    def __init__(self, modality: str, settings: TermSettings, shapes: Shapes) -> None:
        super().__init__()
        self.encoded = (View(modality, "frames"),)
        self.targets = (View(modality, "frames"),)
        self.frames = shapes.frames
        self.slow, self.sparse = settings["slow"], settings["sparse"]
        channels, self._shape = shapes.picture(modality, 1)
        places = (1, *shapes.places[modality][1:])
        self.decoder = Decoder(shapes.embedding(modality), places, shapes.decoder_width, channels, self._shape)

    def forward(self, inputs: Inputs) -> Tensor | None:
        """The sum of the three parts, averaged over clips."""
        z = inputs.features[self.encoded[0]].layers[3]
        painted, wanted = self._pictures(inputs)
        error = (painted - wanted).square().flatten(1).mean(1).unflatten(0, (-1, self.frames)).mean(1)
        z = z.flatten(1).unflatten(0, (-1, self.frames))
        change = (z[:, 1:] - z[:, :-1]).abs().mean((1, 2))
        return mean_over_clips(error + self.slow * change + self.sparse * z.abs().mean((1, 2)))

    def outcome(self, inputs: Inputs) -> Outcome | None:
        """The painted clips, against the mean one; frames of a clip are alike, so they are no examples of their own."""
        painted, wanted = (x.unflatten(0, (-1, self.frames)) for x in self._pictures(inputs))
        return squared_error(painted, wanted) if len(wanted) > 1 else None

    def _pictures(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        z = inputs.features[self.encoded[0]].layers[3]
        wanted = functional.adaptive_avg_pool3d(inputs.targets[self.targets[0]], self._shape)  # type: ignore[arg-type]
        return self.decoder(z), wanted


def build(name: str, shapes: Shapes, settings: TermSettings) -> Term:
    """The term `{modality}.slow_sparse`."""
    return SlowSparseTerm(modality_of(name), settings, shapes)
