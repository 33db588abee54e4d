"""The retrieval gallery: test clips and their nearest training clips as strips that play."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline_src.files import read_json
from pipeline_src.report.protocols import shown_entry
from pipeline_src.settings.run import RunSettings
from pipeline_src.shards import jpeg
from pipeline_src.shards.index import Collection
from pipeline_src.transfer.split import split_clips

QUERIES, NEIGHBOURS = 8, 5
FRAMES, HEIGHT = 8, 64
QUALITY = 80


@dataclass(frozen=True)
class Strip:
    """A clip's frames side by side: its class, whether that is the query's, width of a frame, and the picture."""

    label: str
    right: bool
    width: int
    picture: str


@dataclass(frozen=True)
class Query:
    """A test clip and its nearest training clips, nearest first."""

    clip: Strip
    neighbours: list[Strip]


def gallery(settings: RunSettings, collection: str) -> list[Query]:
    """Queries of the first split and seed: the nearest clip of half of them is of their class, where there are such."""
    entry, seed = shown_entry(settings), settings.seeds[0]
    folder = Path(settings.results_root) / settings.run / "transfer" / collection / "split_1"
    found = read_json(folder / entry / f"seed_{seed}" / "retrieval.json")
    if not found["predictions"]:
        return []
    data = Collection.open(Path(settings.data_root) / collection / "index.json")
    clips = split_clips(data, 1)
    test = clips[clips["split_1"] == "test"].reset_index(drop=True)
    training = clips[clips["split_1"] != "test"].reset_index(drop=True)
    right = np.array(found["predictions"]) == test["label"].to_numpy(str)
    queries = []
    for number in _chosen(right):
        label = str(test["label"][number])
        near = training.iloc[found["neighbours"][number][:NEIGHBOURS]].to_dict("records")
        strips = [_strip(data, clip, clip["label"] == label) for clip in near]
        queries.append(Query(_strip(data, test.iloc[number].to_dict(), True), strips))
    return queries


def _chosen(right: np.ndarray) -> list[int]:
    """Half of the queries right and half wrong, drawn at random but the same every time."""
    random = np.random.default_rng(0)
    hits, misses = random.permutation(np.flatnonzero(right)), random.permutation(np.flatnonzero(~right))
    wrong = min(len(misses), max(QUERIES // 2, QUERIES - len(hits)))
    return [int(number) for number in (*hits[: QUERIES - wrong], *misses[:wrong])]


def _strip(collection: Collection, clip: Mapping[Any, Any], right: bool) -> Strip:
    import cv2

    reader = collection.reader("rgb", clip["shard"])
    chosen = np.linspace(0, int(clip["frames"]) - 1, FRAMES).round().astype(int)
    frames = reader.read_at(int(clip["row"]), chosen)
    reader.close()
    width = max(1, round(HEIGHT * frames.shape[2] / frames.shape[1]))
    small = [cv2.resize(frame, (width, HEIGHT), interpolation=cv2.INTER_AREA) for frame in frames]
    file = jpeg.encode(np.ascontiguousarray(np.hstack(small)), QUALITY)
    return Strip(str(clip["label"]), right, width, "data:image/jpeg;base64," + base64.b64encode(file).decode())
