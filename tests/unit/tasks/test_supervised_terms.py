"""Terms that learn from labels: upper bounds."""

from dataclasses import replace

import pytest
import torch
from sklearn.metrics import log_loss

from pipeline_src.batches.views import View
from pipeline_src.errors import UserError
from tests.unit.tasks.inputs import build, given, numbers, pooled, reference

CLASSES = (0, 2, 2, 1, 0, 2)


@reference("supervised")
def test_supervised_is_the_cross_entropy_of_the_class() -> None:
    term = build("rgb.supervised", classes=5)
    inputs = replace(given(term), classes=torch.tensor(CLASSES))
    logits = term.head(pooled(inputs.features[View("rgb")]))
    likely = numbers(logits.softmax(1))
    assert term(inputs).item() == pytest.approx(log_loss(CLASSES, likely, labels=range(5)), rel=1e-9)
    outcome = term.outcome(inputs)
    named = likely.argmax(1)
    for i, label in enumerate(CLASSES):
        assert outcome.values[i].item() == float(named[i] == label)
        others = [CLASSES[j] for j in range(len(CLASSES)) if j != i]
        assert outcome.trivial[i].item() == pytest.approx(others.count(named[i]) / len(others))


def test_more_classes_than_the_head_has_are_told() -> None:
    term = build("rgb.supervised", classes=2)
    with pytest.raises(UserError, match=r"supervised.classes: 2 - allowed: at least 3"):
        term(replace(given(term), classes=torch.tensor(CLASSES)))
