"""One split of a labelled collection with a vector per clip, and the result of a method on it."""

import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from pipeline_src.errors import UserError
from pipeline_src.shards.index import Collection

PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class LabelledVectors:
    """Clips of one split.

    Attributes:
        collection, split: where they come from.
        vectors: (N, D) float64.
        labels: (N,) class names.
        parts: (N,) train, validation or test; unused where a clip's label is not to be used.
        groups: (N,) source videos; clips of one source video are not independent.
    """

    collection: str
    split: int
    vectors: np.ndarray
    labels: np.ndarray
    parts: np.ndarray
    groups: np.ndarray

    def pick(self, *parts: str) -> np.ndarray:
        """Which clips belong to these parts, (N,) boolean."""
        return np.isin(self.parts, parts)

    def with_vectors(self, vectors: np.ndarray) -> "LabelledVectors":
        """The same clips with other vectors."""
        return replace(self, vectors=vectors)


@dataclass(frozen=True)
class Prediction:
    """What a method says about the test clips.

    Attributes:
        labels: (test clips,) class names.
        train_clips: clips that the final fit saw.
        details: what the method has to report besides.
    """

    labels: np.ndarray
    train_clips: int
    details: Mapping[str, Any]


def split_clips(collection: Collection, split: int) -> pd.DataFrame:
    """The clips of a split: rows of clips.csv whose part is train, validation or test; the rest is unused.

    Raises:
        UserError: no such split, no training or test clips, a clip without class, or fewer than two classes.
    """
    name, column = collection.folder.name, f"split_{split}"
    if column not in collection.clips:
        have = [c.removeprefix("split_") for c in collection.clips.columns if c.startswith("split_")]
        raise UserError(f"split: {split} - allowed in {name}: {', '.join(have) or 'none, it has no splits'}")
    clips = collection.clips[collection.clips[column].isin(PARTS)].reset_index(drop=True)
    for part in ("train", "test"):
        if not (clips[column] == part).any():
            raise UserError(f"collections.{name}: split {split} has no usable {part} clips - allowed: one or more")
    if (clips["label"] == "").any():
        first = clips.loc[clips["label"] == "", "clip_id"].iloc[0]
        raise UserError(f"collections.{name}: clip {first} of split {split} has no label - allowed: a class for each")
    classes = clips.loc[clips[column] != "test", "label"].unique()
    if len(classes) < 2:
        raise UserError(
            f"collections.{name}: {classes[0]!r} is the only class in the training part of split {split} -"
            " allowed: two or more classes"
        )
    return clips


def rows_of(collection: Collection, clips: pd.DataFrame) -> np.ndarray:
    """Rows of the collection's clips, (N,), that some of them stand in."""
    places = pd.Series(range(len(collection.clips)), index=collection.clips["clip_id"])
    return places[clips["clip_id"]].to_numpy()


def labelled_vectors(collection: Collection, split: int, clips: pd.DataFrame, vectors: np.ndarray) -> LabelledVectors:
    """Join the clips of a split, as `split_clips` gives them, with their (N, D) vectors in the same order."""
    return LabelledVectors(
        collection=collection.folder.name,
        split=split,
        vectors=np.asarray(vectors, np.float64),
        labels=clips["label"].to_numpy(str),
        parts=clips[f"split_{split}"].to_numpy(str),
        groups=clips["source_video"].replace("", None).fillna(clips["clip_id"]).to_numpy(str),
    )


def read_embeddings(path: str | os.PathLike[str], clip_ids: list[str]) -> np.ndarray:
    """Vectors of these clips, (N, D), from a file with `clip_ids` and `embeddings`.

    Raises:
        UserError: the file is broken or lacks a clip.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            known, embeddings = file["clip_ids"], file["embeddings"]
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise UserError(
            f"{path}: not a valid file of embeddings ({error}); delete it and run snakemake again"
        ) from error
    if embeddings.ndim != 2 or len(known) != len(embeddings):
        raise UserError(
            f"{path}: {len(known)} clips with embeddings of shape {embeddings.shape} - allowed: (clips,"
            " dimensions); delete it and run snakemake again"
        )
    rows = {str(name): row for row, name in enumerate(known)}
    missing = [name for name in clip_ids if name not in rows]
    if missing:
        raise UserError(
            f"{path}: {len(missing)} clips of the collection are missing, first {missing[0]}; delete it and"
            " run snakemake again"
        )
    return np.asarray(embeddings[[rows[name] for name in clip_ids]])


def result(
    data: LabelledVectors,
    *,
    entry: str,
    seed: int,
    method: str,
    prediction: Prediction | None,
    reason: str = "",
) -> dict[str, Any]:
    """The content of a transfer result.

    A test clip of a class that never occurs in training is counted as wrong; such classes are listed. chance
    is 1 over the number of training classes; majority is the top-1 of always naming their most frequent one;
    predictions are those of the test clips, in the collection's order.

    Args:
        data: the split.
        entry, seed: which model.
        method: kmeans, linear or another.
        prediction: None where there is nothing to evaluate; top1 is then null.
        reason: why there is no prediction.
    """
    training, test = data.pick("train", "validation"), data.pick("test")
    classes, counts = np.unique(data.labels[training], return_counts=True)
    unseen = ~np.isin(data.labels[test], classes)
    top1 = None if prediction is None else round(float((prediction.labels == data.labels[test]).mean()), 6)
    return {
        "collection": data.collection,
        "split": data.split,
        "entry": entry,
        "seed": seed,
        "method": method,
        "top1": top1,
        "status": "diverged" if prediction is None else "ok",
        "reason": reason,
        "train_clips": 0 if prediction is None else prediction.train_clips,
        "test_clips": int(test.sum()),
        "classes": len(classes),
        "chance": round(1 / len(classes), 6),
        "majority": round(float((data.labels[test] == classes[counts.argmax()]).mean()), 6),
        "unseen_classes": sorted({str(name) for name in data.labels[test][unseen]}),
        "unseen_clips": int(unseen.sum()),
        "shared_source_videos": len(set(data.groups[training]) & set(data.groups[test])),
        "predictions": [] if prediction is None else [str(name) for name in prediction.labels],
        **({} if prediction is None else prediction.details),
    }


def not_finite(data: LabelledVectors) -> str:
    """Why the vectors cannot be evaluated; empty when they can."""
    broken = int((~np.isfinite(data.vectors)).any(axis=1).sum())
    return f"{broken} of {len(data.vectors)} embeddings are not finite" if broken else ""


def standardised(data: LabelledVectors) -> LabelledVectors:
    """Every dimension with mean 0 and deviation 1 over all clips but those for test; 0 where constant."""
    training = data.vectors[~data.pick("test")]
    mean, deviation = training.mean(0), training.std(0)
    constant = deviation <= 1e-6 * np.maximum(np.abs(mean), 1e-6)
    return data.with_vectors(np.where(constant, 0.0, (data.vectors - mean) / np.where(constant, 1.0, deviation)))
