"""Light decoders and heads on top of encoders."""

from torch import Tensor, nn
from torch.nn import functional


class Decoder(nn.Module):
    """Paints a clip from the last layer's activations: two convolutions between enlargements.

    Args:
        inputs: channels of the activations.
        width: channels inside.
        outputs: channels of the picture.
        shape: (T, H, W) of the picture.
    """

    def __init__(self, inputs: int, width: int, outputs: int, shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.shape = shape
        self.reduce = nn.Conv3d(inputs, width, 1)
        self.refine = nn.Conv3d(width, width, 3, padding=1)
        self.paint = nn.Conv3d(width, outputs, 3, padding=1)

    def forward(self, activations: Tensor) -> Tensor:
        """(N, inputs, t, h, w) to (N, outputs, T, H, W)."""
        frames, height, width = self.shape
        half = (frames, max(1, height // 2), max(1, width // 2))
        x = functional.relu(self.reduce(activations))
        x = functional.relu(self.refine(functional.interpolate(x, half, mode="nearest")))
        return self.paint(functional.interpolate(x, self.shape, mode="nearest"))


class Classifier(nn.Sequential):
    """(N, inputs) to (N, outputs) logits through one hidden layer."""

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__(nn.Linear(inputs, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, outputs))
