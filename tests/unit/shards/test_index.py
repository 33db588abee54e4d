"""The index says which clips can be used and what their values are like."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline_src.errors import UserError
from pipeline_src.shards.index import Collection, build_index
from pipeline_src.shards.writer import ShardWriter

MODALITIES = ["rgb", "flow", "grey", "audio"]
LENGTHS = {"000000": [5, 0, 1], "000001": [40, 7]}
SOUND = {"000000": [9, 0, 0], "000001": [0, 4]}
LABELS = {"000000": ["007", "wave", "null"], "000001": ["1e3", "run, fast"]}
CLIPPED = {"000000": 0.5, "000001": 0.25}


def shard(path: Path, modality: str, ids: list[str], arrays: list[np.ndarray], **attributes: object) -> None:
    item, dtype = arrays[0].shape[1:], arrays[0].dtype
    with ShardWriter(path, modality=modality, item_shape=item, dtype=dtype, attributes=attributes) as out:
        for clip_id, array in zip(ids, arrays, strict=True):
            out.add(clip_id, array)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A collection of two shards that hold `arrays()`."""
    made = tmp_path / "data" / "zoo"
    for name, data in arrays().items():
        ids = clip_ids(name)
        plan = pd.DataFrame({"clip_id": ids, "path": "x.mp4", "source_video": [f"v{i}" for i in ids]})
        plan["label"], plan["split_1"] = LABELS[name], "train"
        status = pd.DataFrame({"clip_id": ids, "status": "ok", "reason": ""})
        status.loc[np.equal(LENGTHS[name], 0), ["status", "reason"]] = ["no_video", "no pictures in it"]
        for kind, table in (("plan", plan), ("status/decode", status)):
            (made / kind).mkdir(parents=True, exist_ok=True)
            table.to_csv(made / kind / f"{name}.csv", index=False)
        shard(made / "frames" / f"{name}.h5", "frames", ids, data["rgb"], frame_rate=12.0)
        shard(made / "grey" / f"{name}.h5", "grey", ids, data["grey"], frame_rate=12.0)
        shard(made / "audio" / f"{name}.h5", "audio", ids, data["audio"], hop_s=0.016)
        shard(made / "flow" / f"{name}.h5", "flow", ids, data["flow"], scale=0.1, clipped_fraction=CLIPPED[name])
    return made


def clip_ids(name: str) -> list[str]:
    return [f"{name}-{row}" for row in range(len(LENGTHS[name]))]


def arrays() -> dict[str, dict[str, list[np.ndarray]]]:
    rng = np.random.default_rng(0)
    found = {}
    for name, lengths in LENGTHS.items():
        found[name] = {
            "rgb": [rng.integers(0, 200, (n, 4, 6, 3)).astype(np.uint8) for n in lengths],
            "flow": [rng.integers(100, 150, (max(n - 1, 0), 4, 6, 2)).astype(np.uint8) for n in lengths],
            "grey": [rng.integers(0, 256, (n, 4, 6, 1)).astype(np.uint8) for n in lengths],
            "audio": [rng.normal(-6, 3, (n, 8)).astype(np.float16) for n in SOUND[name]],
        }
    return found


def build(folder: Path, modalities: list[str] = MODALITIES, min_success: float = 0.5) -> Collection:
    build_index(folder, list(LENGTHS), modalities, folder / "index.json", folder / "clips.csv", min_success)
    return Collection.open(folder / "index.json")


def test_mean_and_deviation_are_those_of_every_value_of_a_channel(folder):
    made = build(folder)
    for name in MODALITIES:
        channels = 1 if name == "audio" else arrays()["000000"][name][0].shape[-1]
        values = np.concatenate(
            [array.reshape(-1, channels) for data in arrays().values() for array in data[name]]
        ).astype(np.float64)
        mean, std = made.statistics(name)
        np.testing.assert_allclose(mean, values.mean(0), rtol=1e-6)
        np.testing.assert_allclose(std, values.std(0), rtol=1e-6)


def test_usable_clips_keep_their_place_and_exact_labels(folder):
    """A class called 007 or null must not turn into 7 or nothing."""
    made = build(folder)
    assert made.clips["clip_id"].tolist() == ["000000-0", "000000-2", "000001-0", "000001-1"]
    assert made.clips["shard"].tolist() == ["000000", "000000", "000001", "000001"]
    assert made.clips["row"].tolist() == [0, 2, 0, 1]
    assert made.clips["frames"].tolist() == [5, 1, 40, 7]
    assert made.clips["label"].tolist() == ["007", "null", "1e3", "run, fast"]
    assert made.clips["split_1"].tolist() == ["train"] * 4
    clip = made.clips.iloc[3]
    np.testing.assert_array_equal(made.reader("rgb", clip.shard).read(clip.row), arrays()["000001"]["rgb"][1])


def test_clips_without_sound_are_marked(folder):
    """A silent clip taken for a sounding one would teach the audio terms nonsense."""
    made = build(folder)
    assert made.clips["has_sound"].tolist() == [1, 0, 0, 1]
    assert made.index["with_sound"] == 2
    assert build(folder, ["rgb"]).clips["has_sound"].tolist() == [0] * 4


def test_counts_and_failures_are_told(folder):
    index = build(folder).index
    assert (index["collection"], index["planned"], index["usable"]) == ("zoo", 5, 4)
    assert index["failed"] == {"no_video": 1}
    assert [entry["usable"] for entry in index["shards"]] == [2, 2]
    assert index["modalities"]["rgb"]["item_shape"] == [4, 6, 3]
    assert index["modalities"]["rgb"]["attributes"] == {"frame_rate": 12.0}


def test_clipped_fraction_is_that_of_the_collection(folder):
    # 4 and 45 pairs of frames; clips of equal picture size.
    found = build(folder).describe("flow")["attributes"]
    assert found["clipped_fraction"] == pytest.approx((4 * 0.5 + 45 * 0.25) / 49)
    assert found["scale"] == 0.1


def test_the_index_has_the_same_bytes_again_and_changes_with_the_data(folder):
    build(folder)
    before = [(folder / name).read_bytes() for name in ("index.json", "clips.csv")]
    build(folder)
    assert [(folder / name).read_bytes() for name in ("index.json", "clips.csv")] == before
    data = arrays()["000001"]["audio"]
    data[1][0, 0] += 1
    shard(folder / "audio" / "000001.h5", "audio", clip_ids("000001"), data, hop_s=0.016)
    old, new = json.loads(before[0])["shards"], build(folder).index["shards"]
    assert old[0] == new[0]
    changed = [
        name for name in MODALITIES if name != "rgb" and old[1]["content_hash"][name] != new[1]["content_hash"][name]
    ]
    assert changed == ["audio"]
    assert old[1]["content_hash"]["frames"] == new[1]["content_hash"]["frames"]


def test_too_few_usable_clips_stop_the_run_with_the_reasons(folder):
    with pytest.raises(UserError) as caught:
        build(folder, min_success=0.9)
    message = str(caught.value)
    for part in ("collections.zoo: 4 of 5", "1 no_video", "min_success 0.9", "000000-1: no pictures in it"):
        assert part in message
    assert "\n" not in message
    assert not (folder / "index.json").exists()
    assert not (folder / "clips.csv").exists()


def test_exactly_min_success_is_enough(folder):
    assert build(folder, min_success=0.8).index["usable"] == 4


def test_a_shard_of_another_plan_is_named(folder):
    data = arrays()["000001"]["grey"]
    shard(folder / "grey" / "000001.h5", "grey", ["000001-0", "other"], data, frame_rate=12.0)
    with pytest.raises(UserError, match=r"grey/000001\.h5: its clips differ from plan/000001\.csv"):
        build(folder)


def test_a_status_file_of_another_plan_is_named(folder):
    path = folder / "status" / "decode" / "000001.csv"
    path.write_text(path.read_text().replace("000001-1", "other"))
    with pytest.raises(UserError, match=r"status/decode/000001\.csv: its clips differ"):
        build(folder)


def test_flow_that_does_not_fit_its_frames_is_named(folder):
    data = [array[1:] for array in arrays()["000001"]["flow"]]
    shard(folder / "flow" / "000001.h5", "flow", clip_ids("000001"), data, scale=0.1, clipped_fraction=0.25)
    with pytest.raises(UserError, match=r"flow/000001\.h5: its clips' lengths do not fit"):
        build(folder)


def test_shards_made_with_other_settings_are_not_mixed(folder):
    """Half of the flow in other units would pass unnoticed through training."""
    data = arrays()["000001"]["flow"]
    shard(folder / "flow" / "000001.h5", "flow", clip_ids("000001"), data, scale=0.2, clipped_fraction=0.25)
    with pytest.raises(UserError, match=r"flow/000001\.h5: .*0\.2.* differs from other shards"):
        build(folder)


def test_a_constant_modality_does_not_divide_by_zero(folder):
    for name, lengths in LENGTHS.items():
        data = [np.full((n, 4, 6, 1), 7, np.uint8) for n in lengths]
        shard(folder / "grey" / f"{name}.h5", "grey", clip_ids(name), data, frame_rate=12.0)
    mean, std = build(folder).statistics("grey")
    assert (mean.tolist(), std.tolist()) == ([7.0], [1.0])


def test_an_unknown_modality_is_told_with_the_setting(folder):
    made = build(folder, ["rgb", "grey"])
    with pytest.raises(UserError, match=r"collections\.zoo\.modalities: grey, rgb - must include audio"):
        made.describe("audio")


def test_an_empty_plan_and_missing_files_are_told(folder):
    with pytest.raises(UserError, match=r"collections\.zoo\.source: no clips"):
        build_index(folder, [], ["rgb"], folder / "index.json", folder / "clips.csv", 0.5)
    (folder / "status" / "decode" / "000001.csv").unlink()
    with pytest.raises(UserError, match=r"000001\.csv: missing"):
        build(folder)


def test_clips_that_were_tried_again_count_once_as_they_are_planned_now(folder):
    """Else a label that was corrected, or a clip that was taken out, would come back with a retry."""
    ids = ["000000-1", "000000-0", "gone"]  # Failed at first, usable at first, and no longer in the plan.
    plan = pd.DataFrame({"clip_id": ids, "source_video": "old", "label": "old", "split_1": "test"})
    status = pd.DataFrame({"clip_id": ids, "status": "ok", "reason": ""})
    plan.to_csv(folder / "plan" / "000000r01.csv", index=False)
    status.to_csv(folder / "status/decode" / "000000r01.csv", index=False)
    frames = [np.zeros((3, 4, 6, 3), np.uint8)] * 3
    shard(folder / "frames" / "000000r01.h5", "frames", ids, frames, frame_rate=12.0)
    build_index(folder, [*LENGTHS, "000000r01"], ["rgb"], folder / "index.json", folder / "clips.csv", 0.5)
    made = Collection.open(folder / "index.json")
    assert (made.index["planned"], made.index["usable"], made.index["failed"]) == (5, 5, {})
    again = made.clips[made.clips["shard"] == "000000r01"]
    assert again[["clip_id", "label", "split_1"]].to_numpy().tolist() == [["000000-1", LABELS["000000"][1], "train"]]


def test_flow_that_could_not_be_made_is_told_with_where_to_look(folder):
    (folder / "status/flow").mkdir(parents=True)
    for name, lengths in LENGTHS.items():
        rows = "".join(f"{clip_id},no_flow,codec vp9\n" for clip_id in clip_ids(name))
        (folder / "status/flow" / f"{name}.csv").write_text("clip_id,status,reason\n" + rows)
        none = [np.zeros((0, 4, 6, 2), np.uint8)] * len(lengths)
        shard(folder / "flow" / f"{name}.h5", "flow", clip_ids(name), none, scale=0.1)
    with pytest.raises(UserError, match=r"0 of .*no_flow.*status/flow/\*\.csv; another flow\.method may do"):
        build(folder)
    assert len(build(folder, ["rgb", "grey"]).clips) == 4


def test_a_damaged_status_table_is_named(folder):
    (folder / "status/decode/000000.csv").write_text("")
    with pytest.raises(UserError, match=r"status/decode/000000\.csv: not a readable table"):
        build(folder)
