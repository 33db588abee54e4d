"""TCN: a frame is nearer to one shortly before or after it than to one far off in the same clip (triplet loss)."""

from torch import Tensor, nn
from torch.nn import functional

from pipeline_src.batches.views import View
from pipeline_src.tasks.frames import frame_embeddings, picked
from pipeline_src.tasks.term import Inputs, Outcome, Shapes, Term, TermSettings, accuracy, modality_of, usable_rows

GROUP = "time"
MINIMUM_FRAMES = 4
TERMS = ("rgb.tcn",)
SETTINGS = {
    "near": {
        "default": 0.15,
        "minimum": 0.0,
        "maximum": 0.25,
        "help": "reach of near frames, as a share of the window",
    },
    "margin": {"default": 0.2, "minimum": 0.0, "maximum": 4.0, "help": "wanted gap between squared distances"},
    "size": {"default": 32, "minimum": 2, "maximum": 65536, "help": "size of the frames' features"},
}
SOURCE = "Sermanet et al. 2018, Time-Contrastive Networks, from a single view"


class TcnTerm(Term):
    """Mean of max(0, margin + |anchor - near|^2 - |anchor - far|^2) over clips, features of length 1.

    Args:
        modality: whose clips.
        settings: near, margin, size.
        shapes: sizes; windows have at least four frames.
    """

    def __init__(self, modality: str, settings: TermSettings, shapes: Shapes) -> None:
        super().__init__()
        self.frames = shapes.frames
        self.reach = max(1, round(settings["near"] * shapes.frames))
        self.encoded = (View(modality, "frames"),)
        self.margin = settings["margin"]
        self.head = nn.Linear(shapes.embedding(modality), settings["size"])

    def forward(self, inputs: Inputs) -> Tensor | None:
        """The triplet loss; None where no clip is long enough."""
        near, far = self._distances(inputs)
        return functional.relu(self.margin + near - far).mean() if len(near) else None

    def outcome(self, inputs: Inputs) -> Outcome | None:
        """Right where the near frame is nearer."""
        near, far = self._distances(inputs)
        return accuracy((near < far).flatten(), 0.5) if len(near) else None

    def _distances(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """(M', T) squared distances of every frame to a near one and to a far one."""
        rows = usable_rows(inputs, self.encoded[0])
        z = functional.normalize(self.head(frame_embeddings(inputs, self.encoded[0], self.frames)[rows]), dim=2)
        draws = inputs.draws("tcn")
        steps = draws.uniform(self.frames, self.frames)[rows]
        apart = z.new_tensor([[abs(a - b) for b in range(self.frames)] for a in range(self.frames)])
        near = steps.masked_fill((apart == 0) | (apart > self.reach), -1).argmax(2)
        far = steps.masked_fill(apart <= 2 * self.reach, -1)
        # A frame of the middle may have no far one; the farthest serves.
        far = (far + 1e-3 * apart).argmax(2)
        return (z - picked(z, near)).square().sum(2), (z - picked(z, far)).square().sum(2)


def build(name: str, shapes: Shapes, settings: TermSettings) -> Term:
    """The term `{modality}.tcn`."""
    return TcnTerm(modality_of(name), settings, shapes)
