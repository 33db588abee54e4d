"""HMDB51, UCF101 and Kinetics in the layouts of their authors, from encoded clips to results.

If labels, parts or files were mixed up on the way, the right labels would be learnt no better than shuffled ones.
"""

import copy
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline_src.settings.transfer import LinearSettings
from pipeline_src.shards.index import Collection
from pipeline_src.transfer.linear import predict_by_layer
from pipeline_src.transfer.split import labelled_vectors, read_embeddings, split_clips, standardised
from tests.tiny_run import ROOT, TINY, Project, copy_project

pytestmark = pytest.mark.slow

NAMES = ("hmdb51", "ucf101", "kinetics")
# What an untrained network tells apart in few clips, by the filter that makes it.
CLASSES = {"dim": "lutyuv=y=val*0.3", "plain": "null", "washed": "lutyuv=y=170+val*0.2"}
PER_CLASS = 12
POOL = 8
TEST_GROUPS = (3,)  # Of four source videos per class, three clips each.
SHUFFLED = 10


def rendered(folder: Path) -> list[Path]:
    """Videos of the built-in world."""
    source = {"kind": "world", "videos": POOL + PER_CLASS * len(CLASSES), "size": 48, "seconds": [0.6, 0.8]}
    settings = json.dumps({"source": source, "seed": 0})
    command = [sys.executable, "-m", "pipeline_src.stages.render_world", "--settings", settings]
    command += ["--collection", "pool", "--threads", "2", "--out", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=300)
    return sorted(folder.glob("*.mp4"))


def hmdb(folder: Path, label: str, clips: list[Path]) -> None:
    lines = ""
    for number, clip in enumerate(clips):
        group = number // 3
        name = f"Film_{group}_{label}_f_nm_np1_fr_med_{number % 3}.avi"
        place(clip.with_suffix(".avi"), folder / "hmdb51_org" / label / name)
        lines += f"{name} {2 if group in TEST_GROUPS else 1} \n"
    lists = folder / "testTrainMulti_7030_splits"
    lists.mkdir(exist_ok=True)
    (lists / f"{label}_test_split1.txt").write_text(lines)


def ucf(folder: Path, label: str, clips: list[Path]) -> None:
    lists = folder / "ucfTrainTestlist"
    lists.mkdir(exist_ok=True)
    number = list(CLASSES).index(label) + 1
    with open(lists / "classInd.txt", "a") as out:
        out.write(f"{number} {label}\r\n")
    for index, clip in enumerate(clips):
        group = index // 3
        name = f"{label}/v_{label}_g{group + 1:02d}_c{index % 3 + 1:02d}.avi"
        place(clip.with_suffix(".avi"), folder / "UCF-101" / name)
        part, line = ("test", f"{name}\r\n") if group in TEST_GROUPS else ("train", f"{name} {number}\r\n")
        with open(lists / f"{part}list01.txt", "a") as out:
            out.write(line)


def kinetics(folder: Path, label: str, clips: list[Path]) -> None:
    for index, clip in enumerate(clips):
        part = "validate" if index // 3 in TEST_GROUPS else "train"
        video = f"{label[:5]:_<5}-{index:05d}"
        place(clip, folder / "videos" / f"{label} a thing" / f"{video}_{index:06d}_{index + 10:06d}.mp4")
        if not (folder / f"{part}.csv").exists():
            (folder / f"{part}.csv").write_text("label,youtube_id,time_start,time_end,split\n")
        with open(folder / f"{part}.csv", "a") as out:
            out.write(f"{label} (a thing),{video},{index},{index + 10},{part}\n")


def place(clip: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(clip, target)


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory, ffmpeg: Callable[..., None]) -> Project:
    """An untrained network evaluated on the three benchmarks."""
    project = copy_project(tmp_path_factory.mktemp("benchmarks"))
    folder = project.folder
    made = rendered(tmp_path_factory.mktemp("world"))
    for clip in made[:POOL]:
        place(clip, folder / "videos" / clip.name)
    for name in NAMES:
        (folder / name).mkdir()
    for number, (label, look) in enumerate(CLASSES.items()):
        clips = []
        for clip in made[POOL + number * PER_CLASS :][:PER_CLASS]:
            clips.append(clip.with_name(f"{clip.stem}_{label}.mp4"))
            ffmpeg("-i", clip, "-an", "-vf", look, clips[-1])
            ffmpeg("-i", clips[-1], "-c:v", "mpeg4", "-q:v", 2, clips[-1].with_suffix(".avi"))
        for name, build in zip(NAMES, (hmdb, ucf, kinetics), strict=True):
            build(folder / name, label, clips)
    (folder / "hmdb51/hmdb51_org/dim/Film_0_dim_f_nm_np1_fr_med_1.avi").unlink()
    paths = {"hmdb51": "hmdb51/hmdb51_org", "ucf101": "ucf101/UCF-101", "kinetics": "kinetics/videos"}
    config = copy.deepcopy(TINY)
    config["collections"] = {
        "pool": {"source": {"kind": "folder", "path": "videos"}, "plan": {"duration_s": None}},
        **{
            name: {
                "source": {"kind": "benchmark", "name": name, "path": paths[name], "splits": 1},
                "plan": {"duration_s": None},
            }
            for name in NAMES
        },
    }
    config["loss"]["terms"] = ["rgb.shuffle"]
    del config["fitness"]["weak"]
    config["lineup"] = [{"name": "scratch", "kind": "scratch"}]
    config["transfer"] = {"collections": list(NAMES), "embed": {"windows": 2}}
    project.configure(config)
    folders = [f"results/tiny/transfer/{name}/split_1" for name in NAMES]
    project.snakemake(*(f"{folder}/scratch/seed_0/linear.json" for folder in folders))
    return project


@pytest.mark.parametrize("name", NAMES)
def test_its_classes_are_learnt_better_than_shuffled_ones(evaluated: Project, name: str) -> None:
    folder = evaluated.run / "transfer" / name / "split_1"
    found = json.loads((folder / "scratch/seed_0/linear.json").read_text())
    assert found["test_clips"] == len(TEST_GROUPS) * 3 * len(CLASSES)
    assert found["train_clips"] == (PER_CLASS - len(TEST_GROUPS) * 3) * len(CLASSES) - (name == "hmdb51")
    assert (found["classes"], found["shared_source_videos"]) == (len(CLASSES), 0)
    collection = Collection.open(evaluated.folder / "data" / name / "index.json")
    clips = split_clips(collection, 1)
    vectors = read_embeddings(evaluated.run / f"embeddings/scratch/seed_0/{name}.npz", clips["clip_id"].tolist())
    data = standardised(labelled_vectors(collection, 1, clips, vectors))
    random, shuffled = np.random.default_rng(0), []
    for _ in range(SHUFFLED):
        mixed = replace(data, labels=random.permutation(data.labels))
        guess = predict_by_layer(mixed, LinearSettings(), 0).labels
        shuffled.append(float((guess == mixed.labels[mixed.pick("test")]).mean()))
    assert found["top1"] > max(shuffled), shuffled


def test_what_is_there_is_told_in_the_log_of_the_plan(evaluated: Project) -> None:
    logs = {name: (evaluated.folder / f"data/{name}/logs/plan_clips.log").read_text() for name in NAMES}
    assert "hmdb51: 35 of the official 6766 clips are there" in logs["hmdb51"]
    assert "1 missing, first 'dim/Film_0_dim_f_nm_np1_fr_med_1'" in logs["hmdb51"]
    assert "split 1 has 27 of 9537 train and 9 of 3783 test clips" in logs["ucf101"]
    assert "the validation list is the test part" in logs["kinetics"]


def test_a_changed_split_file_or_a_video_that_comes_plans_its_benchmark_again(evaluated: Project) -> None:
    targets = [f"data/{name}/index.json" for name in NAMES]
    assert evaluated.planned(*targets) == {}
    lists = evaluated.folder / "ucf101/ucfTrainTestlist/testlist01.txt"
    lists.write_text(lists.read_text() + "dim/v_dim_g09_c01.avi\r\n")
    clips = evaluated.folder / "hmdb51/hmdb51_org/dim"
    place(clips / "Film_0_dim_f_nm_np1_fr_med_0.avi", clips / "Film_0_dim_f_nm_np1_fr_med_1.avi")
    assert evaluated.planned(*targets)["plan_clips"] == 2
