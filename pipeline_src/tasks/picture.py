"""Terms that paint a clip from an embedding and compare it by mean squared error."""

from torch import Tensor, nn
from torch.nn import functional

from pipeline_src.batches.views import View
from pipeline_src.networks.heads import Decoder
from pipeline_src.tasks.term import Inputs, Shapes, Term


class PictureTerm(Term):
    """Decode `source`'s last activations to `target`, averaged down to the decoder's size.

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
        channels, shape = shapes.picture(target.modality, frames)
        self.decoder: nn.Module = Decoder(shapes.embedding(source.modality), shapes.decoder_width, channels, shape)
        self._shape = shape

    def forward(self, inputs: Inputs) -> Tensor:
        """Mean squared error over all pixels, in units of the modality's variance."""
        painted = self.decoder(inputs.features[self.encoded[0]].layers[3])
        wanted = functional.adaptive_avg_pool3d(inputs.targets[self.targets[0]], self._shape)
        return functional.mse_loss(painted, wanted)
