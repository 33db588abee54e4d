"""Odd one out: which of several sub-clips of a clip has its frames in the wrong order (cross-entropy)?"""

from torch import Tensor
from torch.nn import functional

from pipeline_src.batches.views import View
from pipeline_src.networks.heads import Classifier
from pipeline_src.networks.parallel import gather
from pipeline_src.tasks.term import Inputs, Outcome, Shapes, Term, TermSettings, accuracy, modality_of, usable_rows

GROUP = "time"
MINIMUM_FRAMES = 4
TERMS = ("rgb.odd_one_out",)
SETTINGS = {
    "questions": {"default": 6, "minimum": 2, "maximum": 16, "help": "sub-clips, one of which is odd"},
    "hidden": {"default": 128, "minimum": 1, "maximum": 65536, "help": "size of the head's hidden layer"},
}
SOURCE = "Fernando et al. 2017, Self-Supervised Video Representation Learning with Odd-One-Out Networks"


class OddOneOutTerm(Term):
    """Each sub-clip is scored by its difference from the others (the paper's fusion by differences).

    Args:
        modality: whose clips.
        questions: sub-clips of a clip.
        hidden: size of the head's hidden layer.
        shapes: sizes; windows have at least four frames.
    """

    def __init__(self, modality: str, questions: int, hidden: int, shapes: Shapes) -> None:
        super().__init__()
        self.encoded = (View(modality, "questions", (questions,)),)
        self.questions = questions
        self.head = Classifier(shapes.embedding(modality), hidden, 1)

    def forward(self, inputs: Inputs) -> Tensor | None:
        """The mean cross-entropy; None where no clip is long enough."""
        logits, labels = self._answers(inputs)
        return functional.cross_entropy(logits, labels) if len(labels) else None

    def outcome(self, inputs: Inputs) -> Outcome | None:
        """Right where the odd one's logit is the highest."""
        logits, labels = self._answers(inputs)
        return accuracy(logits.argmax(1) == labels, 1 / self.questions) if len(labels) else None

    def _answers(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        (view,) = self.encoded
        rows = usable_rows(inputs, view)
        embeddings = inputs.features[view].embedding.unflatten(0, (-1, self.questions))[rows]
        return self.head(embeddings - embeddings.mean(1, keepdim=True)).squeeze(2), gather(inputs.labels[view])[rows]


def build(name: str, shapes: Shapes, settings: TermSettings) -> Term:
    """The term `{modality}.odd_one_out`."""
    return OddOneOutTerm(modality_of(name), settings["questions"], settings["hidden"], shapes)
