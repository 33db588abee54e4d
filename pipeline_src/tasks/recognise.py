"""Terms that tell clips that were changed from those that were not, by binary cross-entropy."""

from torch import Tensor
from torch.nn import functional

from pipeline_src.batches.views import View
from pipeline_src.networks.heads import Classifier
from pipeline_src.networks.parallel import gather
from pipeline_src.tasks.term import Inputs, Outcome, Shapes, Term, accuracy


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
        features, usable = inputs.features[view], inputs.usable[view]
        if features.all_rows is not None:
            usable = usable[features.all_rows]
        logits = self.head(features.embedding[usable]).squeeze(1)
        return logits, gather(inputs.labels[view])[usable].to(logits.dtype)
