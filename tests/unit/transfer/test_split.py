"""Clips of a split joined with embeddings, and what a result says."""

import numpy as np
import pandas as pd
import pytest

from pipeline_src.errors import UserError
from pipeline_src.shards.index import Collection
from pipeline_src.transfer.split import Prediction, labelled_vectors, read_embeddings, result, split_clips


def edit(folder, change):
    clips = pd.read_csv(folder / "clips.csv")
    change(clips).to_csv(folder / "clips.csv", index=False)
    return Collection.open(folder / "index.json")


def save(path, clip_ids, embeddings):
    np.savez(path, clip_ids=np.array(clip_ids), embeddings=np.asarray(embeddings, np.float32))
    return path


def test_rows_are_matched_by_clip_id(tmp_path):
    """Else a file in another order gives every clip the wrong vector."""
    path = save(tmp_path / "e.npz", ["c", "a", "b"], [[3, 3], [1, 1], [2, 2]])
    np.testing.assert_array_equal(read_embeddings(path, ["a", "b", "c"])[:, 0], [1, 2, 3])
    with pytest.raises(UserError, match=r"e\.npz: 2 clips of the collection are missing, first d"):
        read_embeddings(path, ["a", "d", "e"])


@pytest.mark.parametrize("content", ["text", "pickle", "keys", "shape"])
def test_broken_embeddings_are_told_and_never_unpickled(tmp_path, content):
    """Else a damaged or hostile file ends in a traceback or runs code."""
    path = tmp_path / "e.npz"
    if content == "text":
        path.write_text("nothing")
    elif content == "pickle":
        np.savez(path, clip_ids=np.array(["a", None], object), embeddings=np.zeros((2, 2)))
    elif content == "keys":
        np.savez(path, names=np.array(["a"]))
    else:
        np.savez(path, clip_ids=np.array(["a"]), embeddings=np.zeros((2, 2)))
    with pytest.raises(UserError, match=r"e\.npz: .*delete it and run snakemake again"):
        read_embeddings(path, ["a"])


def test_unusable_splits_are_told(collection_folder):
    """Each mistake in a labelled set is one line that says what to mend."""
    with pytest.raises(UserError, match="split: 2 - allowed in set: 1"):
        split_clips(Collection.open(collection_folder / "index.json"), 2)
    with pytest.raises(UserError, match="split 1 has no usable test clips"):
        split_clips(edit(collection_folder, lambda c: c.assign(split_1=c["split_1"].replace("test", "unused"))), 1)


def test_single_class_is_told(collection_folder):
    """Else a set with one class scores 100 percent."""
    with pytest.raises(UserError, match="'dark' is the only class"):
        split_clips(edit(collection_folder, lambda c: c.assign(label="dark", split_1=["train", "test"] * 12)), 1)


def test_clip_without_label_is_told(collection_folder):
    """Else the empty name becomes a class."""
    with pytest.raises(UserError, match="clip clip000 of split 1 has no label"):
        split_clips(edit(collection_folder, lambda c: c.assign(label=["", *c["label"][1:]])), 1)


def test_unused_clips_are_left_out(collection_folder):
    """Else clips outside the split are evaluated."""
    collection = edit(collection_folder, lambda c: c.assign(split_1=[*c["split_1"][:20], "unused", "", "", "unused"]))
    assert len(split_clips(collection, 1)) == 20


def test_classes_that_training_lacks_count_as_wrong_and_are_named(collection_folder):
    """Else a broken split looks like a weak model."""
    collection = edit(
        collection_folder,
        lambda c: c.assign(label=c["label"].where((c["split_1"] != "test") | (c["label"] != "dark"), "new")),
    )
    clips = split_clips(collection, 1)
    data = labelled_vectors(collection, 1, clips, np.zeros((len(clips), 2)))
    guess = Prediction(labels=np.full(8, "light"), train_clips=16, details={"clusters": 2})
    found = result(data, entry="e", seed=1, method="kmeans", prediction=guess)
    assert found["unseen_classes"] == ["new"]
    assert found["unseen_clips"] == 4
    assert found["top1"] == 0.5
    assert found["majority"] == 0.0  # of equally frequent training classes the first: dark, which is not tested
    assert (found["classes"], found["chance"], found["train_clips"], found["test_clips"]) == (2, 0.5, 16, 8)
    assert found["shared_source_videos"] == 8  # every source video has clips on both sides here


def test_clips_without_source_video_stand_for_themselves(collection_folder):
    """Else all of them form one group and no validation part can be cut."""
    collection = edit(collection_folder, lambda c: c.assign(source_video=""))
    clips = split_clips(collection, 1)
    assert len(set(labelled_vectors(collection, 1, clips, np.zeros((len(clips), 2))).groups)) == 24
