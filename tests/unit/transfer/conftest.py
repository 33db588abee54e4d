"""Labelled vectors and a small labelled collection on disk."""

import json

import numpy as np
import pandas as pd
import pytest

from pipeline_src.shards.writer import ShardWriter
from pipeline_src.transfer.split import LabelledVectors


@pytest.fixture
def blobs():
    """Make separable classes: blobs(classes, per_class); a third of each is for test."""

    def make(classes=3, per_class=30, *, seed=0, spread=0.1, videos=None, validation=False):
        random = np.random.default_rng(seed)
        centres = np.eye(classes, classes + 3) * 3
        numbers = np.repeat(np.arange(classes), per_class)
        parts = np.tile(np.where(np.arange(per_class) % 3 == 0, "test", "train").astype("U10"), classes)
        if validation:
            parts[np.flatnonzero(parts == "train")[::4]] = "validation"
        count = len(numbers)
        return LabelledVectors(
            collection="set",
            split=1,
            vectors=centres[numbers] + spread * random.standard_normal((count, classes + 3)),
            labels=np.array([f"class{number}" for number in numbers]),
            parts=parts,
            groups=np.array([f"video{i if videos is None else i * videos // count}" for i in range(count)]),
        )

    return make


@pytest.fixture
def collection_folder(tmp_path):
    """data/set with 24 clips in two shards: class by brightness, length and the rest the same for all."""
    folder = tmp_path / "data" / "set"
    random = np.random.default_rng(0)
    rows = []
    for number, shard in enumerate(("000000", "000001")):
        with ShardWriter(
            folder / "frames" / f"{shard}.h5", modality="frames", item_shape=(20, 24, 3), dtype=np.uint8,
            attributes={"frame_rate": 8.0},
        ) as writer:  # fmt: skip
            for row in range(12):
                label = "dark" if row % 2 else "light"
                part = ("train", "train", "test")[row % 3]
                level = 60 if label == "dark" else 180
                writer.add(
                    f"clip{number}{row:02d}",
                    random.integers(level - 30, level + 30, (5, 20, 24, 3), np.uint8),
                )
                rows.append((f"clip{number}{row:02d}", shard, row, 5, 0, f"video{number}{row // 3}", label, part))
    columns = ["clip_id", "shard", "row", "frames", "has_sound", "source_video", "label", "split_1"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "clips.csv", index=False)
    (folder / "index.json").write_text(json.dumps({"collection": "set", "modalities": {"rgb": {}}}))
    return folder
