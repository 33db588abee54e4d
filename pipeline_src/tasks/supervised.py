"""Supervised training: cross-entropy of the clip's class. It reads labels: an upper bound, never searched."""

from torch import Tensor
from torch.nn import functional

from pipeline_src.batches.views import View
from pipeline_src.errors import UserError
from pipeline_src.networks.heads import Classifier
from pipeline_src.tasks.term import Inputs, Outcome, Shapes, Term, TermSettings, agreement, modality_of

GROUP = "labels"
TERMS = ("rgb.supervised",)
READS_LABELS = True
SETTINGS = {
    "classes": {"default": 1000, "minimum": 2, "maximum": 1_000_000, "help": "most classes that there can be"},
    "hidden": {"default": 128, "minimum": 1, "maximum": 65536, "help": "size of the head's hidden layer"},
}
SOURCE = "Tran et al. 2018, A Closer Look at Spatiotemporal Convolutions for Action Recognition (its R3D baseline)"


class SupervisedTerm(Term):
    """The network learns to name the class.

    Args:
        modality: whose clips.
        classes: size of the head; those that no clip has only ever lose.
        hidden: size of the head's hidden layer.
        shapes: sizes.
    """

    def __init__(self, modality: str, classes: int, hidden: int, shapes: Shapes) -> None:
        super().__init__()
        self.encoded = (View(modality),)
        self.classes = classes
        self.head = Classifier(shapes.embedding(modality), hidden, classes)

    def forward(self, inputs: Inputs) -> Tensor:
        """The mean cross-entropy.

        Raises:
            UserError: more classes than the head has.
        """
        highest = int(inputs.classes.max())
        if highest >= self.classes:
            raise UserError(f"supervised.classes: {self.classes} - allowed: at least {highest + 1}, the labels' number")
        return functional.cross_entropy(self._logits(inputs), inputs.classes)

    def outcome(self, inputs: Inputs) -> Outcome | None:
        """Right where the class's logit is the highest; None for a single clip."""
        answers = self._logits(inputs).argmax(1)
        return agreement(answers, inputs.classes) if len(answers) > 1 else None

    def _logits(self, inputs: Inputs) -> Tensor:
        (view,) = self.encoded
        return self.head(inputs.features[view].embedding)


def build(name: str, shapes: Shapes, settings: TermSettings) -> Term:
    """The term `{modality}.supervised`."""
    return SupervisedTerm(modality_of(name), settings["classes"], settings["hidden"], shapes)
