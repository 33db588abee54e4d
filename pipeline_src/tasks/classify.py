"""Terms that tell which of several transforms a view went through, by cross-entropy."""

from torch import Tensor
from torch.nn import functional

from pipeline_src.batches.views import View
from pipeline_src.networks.heads import Classifier
from pipeline_src.networks.parallel import gather
from pipeline_src.tasks.term import Inputs, Outcome, Shapes, Term, accuracy, usable_rows


class ClassifyTerm(Term):
    """Cross-entropy of the label that was drawn for the view.

    Args:
        view: the transformed view.
        classes: how many labels there are.
        hidden: size of the head's hidden layer.
        shapes: sizes.
    """

    def __init__(self, view: View, classes: int, hidden: int, shapes: Shapes) -> None:
        super().__init__()
        self.encoded = (view,)
        self.classes = classes
        self.head = Classifier(shapes.embedding(view.modality), hidden, classes)

    def forward(self, inputs: Inputs) -> Tensor | None:
        """Mean cross-entropy over clips long enough; None where there are none."""
        logits, labels = self.answers(inputs)
        return functional.cross_entropy(logits, labels) if len(labels) else None

    def outcome(self, inputs: Inputs) -> Outcome | None:
        """Right where the label's logit is the highest."""
        logits, labels = self.answers(inputs)
        return accuracy(logits.argmax(1) == labels, 1 / self.classes) if len(labels) else None

    def answers(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """Logits (M', classes) and labels (M',)."""
        (view,) = self.encoded
        rows = usable_rows(inputs, view)
        return self.head(inputs.features[view].embedding[rows]), gather(inputs.labels[view])[rows]
