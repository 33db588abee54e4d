"""Which test clips each network named rightly."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline_src.errors import UserError
from pipeline_src.shards.index import Collection
from pipeline_src.transfer.results import RESULT, require
from pipeline_src.transfer.split import split_clips


@dataclass(frozen=True)
class Truth:
    """The test clips of a split.

    Attributes:
        labels: (clips,) class names, in the collection's order.
        videos: (clips,) source video of each; a clip without one stands for itself.
    """

    labels: np.ndarray
    videos: np.ndarray


@dataclass(frozen=True)
class Answers:
    """One result against the truth.

    Attributes:
        collection, split, entry, seed, method: of the result.
        right: (clips,) booleans; None where the network gave no result.
        videos: (clips,) source video of each clip.
        floor: top-1 without features: chance, or the most frequent class where that is more.
    """

    collection: str
    split: int
    entry: str
    seed: int
    method: str
    right: np.ndarray | None
    videos: np.ndarray
    floor: float


class Truths:
    """The truth of every split of some collections, each read once."""

    def __init__(self, collections: Iterable[Collection]) -> None:
        self._collections = {collection.folder.name: collection for collection in collections}
        self._known: dict[tuple[str, int], Truth] = {}

    def of(self, collection: str, split: int) -> Truth:
        """The test clips of a split.

        Raises:
            UserError: no such collection or split.
        """
        if collection not in self._collections:
            raise UserError(f"collection: {collection!r} - allowed: {', '.join(self._collections)}")
        key = (collection, split)
        if key not in self._known:
            clips = split_clips(self._collections[collection], split)
            test = clips[clips[f"split_{split}"] == "test"]
            videos = test["source_video"].replace("", None).fillna(test["clip_id"])
            self._known[key] = Truth(test["label"].to_numpy(object), videos.to_numpy(str))
        return self._known[key]


def answers_of(path: str, result: Mapping[str, Any], truths: Truths) -> Answers:
    """A transfer result against the truth.

    Args:
        path: of its file, for messages.
        result: its content.
        truths: of its collection.

    Raises:
        UserError: no result, predictions of other clips, or a top-1 that is not theirs.
    """
    require(path, result, (*RESULT, "method", "top1", "predictions", "chance", "majority"))
    truth, top1, right = truths.of(result["collection"], result["split"]), result["top1"], None
    if top1 is not None:
        named = result["predictions"]
        if not isinstance(named, list) or len(named) != len(truth.labels):
            count = len(named) if isinstance(named, list) else named
            raise UserError(
                f"{path}: predictions: {count} - allowed: one for each of {len(truth.labels)} test clips; delete it and"
                " run snakemake again"
            )
        right = np.array([said == label for said, label in zip(named, truth.labels, strict=True)], bool)
        if not isinstance(top1, float | int) or not abs(top1 - right.mean()) < 1e-4:
            raise UserError(
                f"{path}: top1: {top1} - allowed: {right.mean():.6f}, the share of its right predictions; delete it and"
                " run snakemake again"
            )
    return Answers(
        collection=result["collection"],
        split=result["split"],
        entry=result["entry"],
        seed=result["seed"],
        method=result["method"],
        right=right,
        videos=truth.videos,
        floor=max(result["chance"], result["majority"]),
    )
