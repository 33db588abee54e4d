"""Terms that tell clips that were changed from those that were not, by binary cross-entropy."""

from torch import Tensor
from torch.nn import functional

from pipeline_src.batches.views import View
from pipeline_src.networks.heads import Classifier
from pipeline_src.networks.parallel import gather
from pipeline_src.tasks.term import Inputs, Outcome, Shapes, Term, accuracy, usable_rows


class RecogniseTerm(Term):
    """Plain (1) or changed (0)?

    Args:
        view: the view, of which each clip is changed or not.
        hidden: size of the head's hidden layer.
        shapes: sizes.
    """

    def __init__(self, view: View, hidden: int, shapes: Shapes) -> None:
        super().__init__()
        self.encoded = (view,)
        self.head = Classifier(shapes.embedding(view.modality), hidden, 1)

    def forward(self, inputs: Inputs) -> Tensor | None:
        """Mean binary cross-entropy; None where no clip is long enough, or none has sound."""
        logits, labels = self._logits(inputs)
        return functional.binary_cross_entropy_with_logits(logits, labels) if len(labels) else None

    def outcome(self, inputs: Inputs) -> Outcome | None:
        """Right where the logit has the label's sign."""
        logits, labels = self._logits(inputs)
        return accuracy((logits > 0) == (labels > 0), 0.5) if len(labels) else None

    def _logits(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        (view,) = self.encoded
        embedding, labels = inputs.features[view].embedding, gather(inputs.labels[view])
        if view.modality != "audio":
            rows = usable_rows(inputs, view)
            embedding, labels = embedding[rows], labels[rows]
        logits = self.head(embedding).squeeze(1)
        return logits, labels.to(logits.dtype)
