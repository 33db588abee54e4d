"""Fine-tuning learns what can be learned, from the training part only."""

import numpy as np
import pandas as pd
import pytest
import torch

from pipeline_src.files import write_json
from pipeline_src.networks.encoder import build_encoder
from pipeline_src.networks.encoder_file import EncoderConfig
from pipeline_src.settings.learning import NetworkSettings, WindowSettings
from pipeline_src.settings.transfer import FinetuneSettings
from pipeline_src.shards.index import Collection, build_index
from pipeline_src.shards.writer import ShardWriter
from pipeline_src.transfer.finetune import predict_by_finetuning
from pipeline_src.transfer.split import Prediction, labelled_vectors, split_clips

CLIPS = 24


@pytest.fixture(scope="module")
def bright_or_dark(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    """Two classes that one look tells apart; every third clip is for test."""
    folder = tmp_path_factory.mktemp("labelled")
    for name in ("plan", "status/decode"):
        (folder / name).mkdir(parents=True)
    names = [f"clip{i}" for i in range(CLIPS)]
    labels = ["dark" if i % 2 else "bright" for i in range(CLIPS)]
    parts = ["test" if i % 3 == 0 else "train" for i in range(CLIPS)]
    columns = {"clip_id": names, "source_video": names, "label": labels, "split_1": parts}
    pd.DataFrame(columns).to_csv(folder / "plan/000000.csv", index=False)
    pd.DataFrame({"clip_id": names, "status": "ok", "reason": ""}).to_csv(
        folder / "status/decode/000000.csv", index=False
    )
    random = np.random.default_rng(0)
    shape = {"modality": "frames", "item_shape": (20, 20, 3), "dtype": np.uint8, "attributes": {"frame_rate": 8.0}}
    with ShardWriter(folder / "frames/000000.h5", **shape) as writer:
        for name, label in zip(names, labels, strict=True):
            clip = random.integers(0, 100, (6, 20, 20, 3), dtype=np.uint8)
            writer.add(name, clip + np.uint8(120 if label == "bright" else 0))
    write_json(folder / "plan/shards.json", {"shards": [{"shard": "000000", "clips": CLIPS}]})
    build_index(folder, ["000000"], ["rgb"], folder / "index.json", folder / "clips.csv", 0.5)
    return Collection.open(folder / "index.json")


def predict(
    collection: Collection,
    iterations: int,
    std: float = 50.0,
    rates: tuple[float, ...] = (0.01,),
    test_labels: str | None = None,
) -> tuple[Prediction | None, np.ndarray]:
    torch.manual_seed(0)
    config = EncoderConfig(
        network=NetworkSettings(video="small_r3d", width=4),
        window=WindowSettings(frames=4, crop=16),
        frame_rate=8.0,
        height=20,
        width=20,
        mean=(100.0, 100.0, 100.0),
        std=(50.0, 50.0, 50.0),
        embedding_size=32,
    ).model_copy(update={"std": (std, std, std)})
    clips = split_clips(collection, 1)
    data = labelled_vectors(collection, 1, clips, np.zeros((len(clips), 1)))
    if test_labels is not None:
        data.labels[data.pick("test")] = test_labels
    settings = FinetuneSettings(iterations=iterations, batch_size=8, learning_rates=rates)
    encoder = build_encoder("rgb", "small_r3d", 4)
    found = predict_by_finetuning(encoder, config, collection, data, clips, settings, 2, 0, torch.device("cpu"))
    return found, data.labels[data.pick("test")]


def test_classes_that_differ_plainly_are_learned(bright_or_dark: Collection) -> None:
    found, truth = predict(bright_or_dark, 30)
    assert found is not None
    assert (found.labels == truth).all()
    assert found.train_clips == 16
    assert found.details["final_loss"] < 0.3


def test_the_same_seed_gives_the_same_predictions(bright_or_dark: Collection) -> None:
    one, two = predict(bright_or_dark, 3)[0], predict(bright_or_dark, 3)[0]
    assert one is not None
    assert two is not None
    np.testing.assert_array_equal(one.labels, two.labels)
    assert one.details == two.details


def test_a_diverged_training_is_no_prediction(bright_or_dark: Collection) -> None:
    """Else the first class would be every clip's answer. A deviation that no file may have gives infinite values."""
    assert predict(bright_or_dark, 3, std=1e-40)[0] is None


def test_of_several_rates_the_one_that_is_best_on_validation_clips_is_taken(bright_or_dark: Collection) -> None:
    found, truth = predict(bright_or_dark, 30, rates=(1e-9, 0.01, 100.0))
    assert found is not None
    assert found.details["learning_rate"] == 0.01
    assert found.details["validation_top1"]["0.01"] == 1
    assert found.details["validation_top1"]["1e-09"] < 1
    assert (found.labels == truth).all()
    alone = predict(bright_or_dark, 30)[0]
    assert alone is not None
    # Trying others leaves no trace in the training that counts.
    assert alone.details["final_loss"] == found.details["final_loss"]


def test_no_choice_depends_on_test_labels(bright_or_dark: Collection) -> None:
    found, truth = predict(bright_or_dark, 20, rates=(0.003, 0.01))
    told, same = predict(bright_or_dark, 20, rates=(0.003, 0.01), test_labels="dark")
    assert found is not None
    assert told is not None
    assert (truth != same).any()
    np.testing.assert_array_equal(found.labels, told.labels)
    assert found.details == told.details
