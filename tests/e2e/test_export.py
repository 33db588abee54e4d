"""The exported model of a finished run, used where almost nothing is installed: the run's own vectors come out."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline_src.embedding.table import read_table
from tests.minimal_machine import run_there
from tests.tiny_run import ROOT, TINY, Project

pytestmark = pytest.mark.slow

HUB = """
import sys, torch, numpy as np
from pipeline_src.embedding.windows import Clip, read_windows

encoder = torch.hub.load(sys.argv[1], "rgb_encoder", source="local", run=sys.argv[2])
windows = read_windows(Clip(sys.argv[3]), encoder.format).windows
with torch.inference_mode():
    found = encoder(torch.from_numpy(windows).permute(0, 4, 1, 2, 3)).mean(0)
np.save("hub.npy", found.numpy())
"""


def labelled_clips(project: Project) -> dict[str, str]:
    """Video of each clip of the labelled set."""
    found = {}
    for plan in sorted((project.folder / "data/labelled/plan").glob("*.csv")):
        with open(plan) as file:
            found |= {row["clip_id"]: row["path"] for row in csv.DictReader(file)}
    return found


def test_vectors_are_the_runs_own_on_a_machine_with_next_to_nothing(finished: Project, tmp_path: Path) -> None:
    with np.load(finished.run / "embeddings/evolved/seed_0/labelled.npz") as file:
        wanted = dict(zip(file["clip_ids"].tolist(), file["embeddings"], strict=True))
    videos = labelled_clips(finished)
    paths = [str(finished.folder / videos[name]) for name in wanted]
    export = str(finished.run / "export/evolved")

    program = ["-m", "pipeline_src.stages.embed_videos", *paths, "out.npz", "--encoder", export, "--num-workers", "2"]
    done = run_there(tmp_path, *program)
    assert done.returncode == 0, done.stderr
    table = read_table(tmp_path / "out.npz")
    assert [row.path for row in table.rows] == paths
    np.testing.assert_allclose(table.vectors, np.stack(list(wanted.values())), rtol=0, atol=1e-5)
    assert np.ptp(table.vectors, axis=0).max() > 1e-3

    done = run_there(tmp_path, "-c", HUB, str(ROOT), str(finished.run), paths[3])
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(np.load(tmp_path / "hub.npy"), list(wanted.values())[3], rtol=0, atol=1e-5)

    done = run_there(tmp_path, *program[:2], paths[0], "out.parquet", "--encoder", export)
    assert done.returncode == 2
    assert "pip install pyarrow" in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_machine_of_these_tests_really_has_nothing_else(tmp_path: Path) -> None:
    for module in ("pydantic", "pandas", "cv2", "simplejpeg", "h5py", "imageio_ffmpeg", "tqdm"):
        assert "on this machine" in run_there(tmp_path, "-c", f"import {module}").stderr


def test_every_trained_entry_has_a_model_card_of_its_run(finished: Project) -> None:
    folder = finished.run / "export"
    assert {path.name for path in folder.iterdir()} == {"evolved"}
    card = (folder / "evolved" / "README.md").read_text()
    assert "29 of 29 videos" in card
    assert f"{TINY['final']['iterations']} of {TINY['final']['batch_size']} clips" in card
    assert "| labelled | fine-tuned |" in card
    weights = json.loads((finished.run / "models/evolved/weights.json").read_text())
    assert all(f"| `{term}` | {weight:.3f} |" in card for term, weight in weights.items() if weight)
    config = json.loads((folder / "evolved" / "config.json").read_text())
    assert config["input"]["frame_rate"] == TINY["decode"]["frame_rate"]
    assert config["provenance"]["settings"]["seed"] == 0


def test_the_example_makes_a_classifier_of_folders(finished: Project, tmp_path: Path) -> None:
    with open(sorted((finished.folder / "data/labelled/plan").glob("*.csv"))[0]) as file:
        for row in csv.DictReader(file):
            target = tmp_path / "classes" / row["label"] / Path(row["path"]).name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(finished.folder / row["path"], target)
    for few in (tmp_path / "classes").iterdir():
        if len(list(few.iterdir())) < 2:
            few.rename(tmp_path / few.name)
    target.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, str(ROOT / "examples/classify_clips.py"), str(finished.run / "export/evolved")]
    done = subprocess.run([*command, str(tmp_path / "classes")], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("accuracy 0.")
