"""The model card says what the model was trained on and what it reached, and does not need labels."""

from typing import Any

import pandas as pd
import pytest

from pipeline_src.embedding.export import format_of
from pipeline_src.report.model_card import TrainingData, model_card
from pipeline_src.settings.clips import DecodeSettings
from pipeline_src.settings.learning import TrainingSettings
from pipeline_src.transfer.summaries import SUMMARY
from tests.exported import make_config

NOTHING = pd.DataFrame(columns=list(SUMMARY))


def results(**changed: Any) -> pd.DataFrame:
    row = {
        "collection": "actions",
        "entry": "evolved",
        "kind": "evolved",
        "method": "linear",
        "results": 2,
        "failed": 0,
    }
    row |= {"seeds": 2, "splits": 1, "all_splits": 1, "clips": 100, "source_videos": 40, "floor": 0.1}
    row |= {"mean": 0.5, "sd": 0.1, "low": 0.404, "high": 0.596}
    return pd.DataFrame([{**row, **changed}], columns=list(SUMMARY))


def card(**changed: Any) -> str:
    given = {
        "run": "demo",
        "entry": "evolved",
        "kind": "evolved",
        "seeds": (3, 4),
        "data": TrainingData("pool", "folder", 1234, 567, 2.25, labelled=False),
        "training": TrainingSettings(iterations=5000, batch_size=32),
        "weights": {"rgb.shuffle": 0.25, "flow.backward": 0.75, "rgb.speed": 0.0},
        "format": format_of(make_config(), DecodeSettings(frame_rate=8, height=32, width=32), 3),
        "revision": "abc123",
        "results": NOTHING,
    }
    return model_card(**{**given, **changed})


def test_it_says_what_the_model_was_trained_on() -> None:
    text = card()
    for part in (
        "# Video encoder `evolved` of run `demo`",
        "without labels",
        "| collection | `pool` (folder) |",
        "| clips | 1,234 of 567 videos, 2.2 hours |",
        "| steps | 5,000 of 32 clips, adamw |",
        "| seed | 3, the first of 3, 4 |",
        "| `flow.backward` | 0.750 |\n| `rgb.shuffle` | 0.250 |\n",
        "| frames per second | 8 |",
        "JPEG of quality 89",
        "minus 110.00, 120.00, 130.00",
        "terms of the videos in `pool`",
        "torch.zeros(1, 3, 4, 24, 24",
    ):
        assert part in text, part
    assert "rgb.speed" not in text


def test_without_labels_it_says_that_nothing_was_evaluated() -> None:
    assert "Not evaluated" in card()
    assert "Not evaluated" in card(results=results(results=0, failed=2, mean=float("nan")))


def test_results_have_the_interval_that_they_came_with() -> None:
    text = card(results=results())
    assert "| actions | one layer | 50.0 | 40.4 to 59.6 | 10.0 | 2 | 1 | 100 | 40 |" in text
    assert "Intervals are of the source videos that are tested on and of the seeds." in text
    assert "no result" not in text


def test_what_an_interval_does_not_hold_is_told() -> None:
    """A reader takes an interval for all that can differ."""
    text = card(results=results(seeds=1, failed=1, source_videos=5, low=float("nan"), high=float("nan")))
    assert "| 50.0 | too few source videos |" in text
    assert "how much the luck of a training adds was not measured" in text
    assert "1 evaluation gave no result" in text


@pytest.mark.parametrize("weights", ["r3d_18/KINETICS400_V1", "found/weights.pth"])
def test_weights_of_others_are_told_with_whose_licence_holds(weights: str) -> None:
    """They learned nothing of this run's videos, whose terms would mislead whoever passes them on."""
    text = card(kind="pretrained", pretrained=weights, weights={})
    assert f"Not trained by this run: its weights are `{weights}`" in text
    assert f"| weights | `{weights}` |" in text
    assert "licence that `{weights}` came with" in text.replace(weights, "{weights}")
    for wrong in ("as it was initialised", "`pool`", "| steps |", "| seed |", "No term of the loss"):
        assert wrong not in text, wrong
    assert card(kind="uniform").count("pretrained") == 0


def test_of_which_seeds_an_interval_is_holds_for_each_row() -> None:
    """A row of one seed would be said to hold the luck of the seeds, and one that lost its seeds to lack videos."""
    one_left = {"method": "finetune", "seeds": 1, "failed": 1, "low": float("nan"), "high": float("nan")}
    text = card(results=pd.concat([results(), results(**one_left)], ignore_index=True))
    assert "| actions | fine-tuned | 50.0 | too few seeds left |" in text
    assert "Intervals are of the source videos that are tested on and of the seeds." in text
    text = card(results=pd.concat([results(), results(method="kmeans", seeds=1)], ignore_index=True))
    assert "Intervals are of the source videos that are tested on and, where a row has several, of the seeds." in text


def test_splits_without_a_result_are_told() -> None:
    assert "| 2 | 1 of 3 | 100 | 40 |" in card(results=results(all_splits=3))


@pytest.mark.parametrize(
    ("changed", "part"),
    [
        ({"weights": {}}, "Not trained"),
        ({"data": TrainingData("set", "list", 10, 10, 0.05, labelled=True)}, "Trained with labels"),
        ({"data": TrainingData("set", "list", 10, 10, 0.05, labelled=True)}, "3.0 minutes"),
    ],
)
def test_untrained_and_supervised_models_are_told(changed: dict[str, Any], part: str) -> None:
    assert part in card(**changed)
