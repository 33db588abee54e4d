"""Terms that paint a clip or a spectrogram from an embedding and compare it by mean squared error."""

from torch import Tensor, nn
from torch.nn import functional

from pipeline_src.batches.views import View
from pipeline_src.networks.heads import Decoder
from pipeline_src.networks.parallel import mean_over_clips
from pipeline_src.tasks.term import Inputs, Outcome, Shapes, Term, squared_error


class PictureTerm(Term):
    """Decode `source`'s last activations to `target`, averaged down to the decoder's size.

    Clips whose target lies beyond their end are left out, as are those without sound where either side is audio.

    Args:
        source: the encoded view.
        target: the view to paint.
        frames: frames of the target.
        shapes: sizes.
    """

    def __init__(self, source: View, target: View, frames: int, shapes: Shapes) -> None:
        super().__init__()
        self.encoded = (source,)
        self.targets = (target,)
        channels, self._shape = shapes.picture(target.modality, frames)
        places = shapes.places[source.modality]
        width = shapes.decoder_width
        self.decoder: nn.Module = Decoder(shapes.embedding(source.modality), places, width, channels, self._shape)

    def forward(self, inputs: Inputs) -> Tensor | None:
        """Mean squared error over all pixels, in units of the modality's variance."""
        painted, wanted = self.pictures(inputs)
        return mean_over_clips((painted - wanted).square().flatten(1).mean(1))

    def outcome(self, inputs: Inputs) -> Outcome | None:
        """Against the mean picture."""
        painted, wanted = self.pictures(inputs)
        return squared_error(painted, wanted) if len(wanted) > 1 else None

    def pictures(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """What is painted and what should be, (N, C, *shape)."""
        source, target = self.encoded[0], self.targets[0]
        activations, wanted = inputs.features[source].layers[3], inputs.targets[target]
        usable = inputs.usable[target][inputs.mine]
        if "audio" in (source.modality, target.modality):
            if source.modality != "audio":
                activations = activations[inputs.sound]
            elif target.modality != "audio":
                wanted = wanted[inputs.sound]
            usable = usable[inputs.sound]
        if target.transform != "plain":
            activations, wanted = activations[usable], wanted[usable]
        return self.decoder(activations), self.shrunk(wanted)

    def shrunk(self, wanted: Tensor) -> Tensor:
        """A target averaged down to the decoder's size."""
        if len(self._shape) == 3:
            return functional.adaptive_avg_pool3d(wanted, self._shape)
        return functional.adaptive_avg_pool2d(wanted, self._shape)  # type: ignore[arg-type]
