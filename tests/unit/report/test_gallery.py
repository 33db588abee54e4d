"""The retrieval gallery."""

import base64
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline_src.report.gallery import gallery
from pipeline_src.settings.run import RunSettings
from pipeline_src.shards.writer import ShardWriter
from tests.unit.report.conftest import settings_of

LABELS = ["bounce"] * 10 + ["zoom"] * 10


@pytest.fixture
def run(tmp_path: Path) -> RunSettings:
    """Ten clips of each of two classes, even ones for training; a clip's frames go from dark to bright."""
    settings = settings_of(data_root=str(tmp_path / "data"), results_root=str(tmp_path / "results"))
    folder = tmp_path / "data" / "motions"
    shape = {"modality": "frames", "item_shape": (20, 30, 3), "dtype": np.uint8, "attributes": {"frame_rate": 8.0}}
    names = [f"clip{number:02d}" for number in range(20)]
    with ShardWriter(folder / "frames" / "000000.h5", **shape) as writer:  # type: ignore[arg-type]
        for number, name in enumerate(names):
            levels = np.linspace(0, 200, 8 + number).astype(np.uint8)
            writer.add(name, np.broadcast_to(levels[:, None, None, None], (len(levels), 20, 30, 3)))
    pd.DataFrame(
        {
            "clip_id": names, "shard": "000000", "row": range(20), "frames": [8 + n for n in range(20)], "has_sound": 0,
            "source_video": names, "label": LABELS, "split_1": ["train", "test"] * 10,
        }
    ).to_csv(folder / "clips.csv", index=False)  # fmt: skip
    (folder / "index.json").write_text(json.dumps({"collection": "motions", "modalities": {"rgb": {}}}))
    return settings


def write_result(run: RunSettings, predictions: list[str], neighbours: list[list[int]]) -> None:
    path = Path(run.results_root) / run.run / "transfer/motions/split_1/evolved/seed_0/retrieval.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"predictions": predictions, "neighbours": neighbours}))


def test_queries_are_half_right_and_half_wrong_with_their_own_neighbours(run: RunSettings) -> None:
    # Training clips 0 to 4 bounce, 5 to 9 zoom. The first five answers are right, the others wrong.
    write_result(run, ["bounce"] * 10, [[0, 1, 5, 6, 7, 8]] * 10)
    found = gallery(run, "motions")
    assert len(found) == 8
    assert [query.clip.label for query in found] == ["bounce"] * 4 + ["zoom"] * 4
    assert all(len(query.neighbours) == 5 for query in found)
    assert [strip.right for strip in found[0].neighbours] == [True, True, False, False, False]
    assert [strip.right for strip in found[-1].neighbours] == [False, False, True, True, True]
    assert gallery(run, "motions") == found


def test_a_strip_has_eight_frames_in_their_order(run: RunSettings) -> None:
    write_result(run, ["bounce"] * 10, [[9]] * 10)
    strip = gallery(run, "motions")[0].neighbours[0]
    assert (strip.label, strip.width) == ("zoom", 96)
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(strip.picture.split(",")[1]))))
    assert picture.shape == (64, 8 * 96, 3)
    frames = picture.reshape(64, 8, 96, 3).mean((0, 2, 3))
    np.testing.assert_allclose(frames, np.linspace(0, 200, 8), atol=8)


def test_only_right_answers_and_a_failed_network_have_a_gallery_of_their_own(run: RunSettings) -> None:
    write_result(run, LABELS[1::2], [[0, 1]] * 10)
    assert [query.clip.right for query in gallery(run, "motions")] == [True] * 8
    write_result(run, [], [])
    assert gallery(run, "motions") == []
