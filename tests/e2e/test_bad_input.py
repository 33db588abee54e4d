"""What a user sees who made a mistake: one line that says what to do, exit code 2, nothing half-written."""

import copy
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_run import TINY, Project, copy_project, render_videos

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return copy_project(tmp_path_factory.mktemp("fresh"))


def changed(**sections: Any) -> dict[str, Any]:
    return {**copy.deepcopy(TINY), **sections}


def errors(done: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in done.stderr.splitlines() if line.startswith("error: ")]


def test_a_typo_in_the_configuration_stops_before_anything_runs(fresh: Project) -> None:
    fresh.configure(changed(searhc={"population": 2}))
    done = fresh.snakemake(check=False)
    assert done.returncode == 2
    assert errors(done) == ["error: config: searhc: unknown setting; did you mean 'search'?"]
    assert not (fresh.folder / "data").exists()


def test_an_empty_folder_is_named(fresh: Project) -> None:
    (fresh.folder / "videos").mkdir(exist_ok=True)
    fresh.configure(TINY)
    done = fresh.snakemake("data/pool/index.json", check=False)
    assert done.returncode == 2
    (line,) = errors(done)
    assert line.startswith("error: collections.pool.source.path: 'videos' - no video file in it; allowed: .")
    assert not (fresh.folder / "data/pool/plan/shards.json").exists()


def test_a_missing_folder_is_named(fresh: Project) -> None:
    config = changed()
    config["collections"]["pool"]["source"]["path"] = "no such folder"
    fresh.configure(config)
    done = fresh.snakemake("data/pool/index.json", check=False)
    assert done.returncode == 2
    assert errors(done) == [
        "error: collections.pool.source.path: 'no such folder' - no such folder; allowed: a folder with videos"
    ]


def test_a_folder_without_any_decodable_video_stops_with_the_reasons(fresh: Project) -> None:
    videos = fresh.folder / "texts"
    videos.mkdir()
    for number in range(3):
        (videos / f"{number}.mp4").write_text("this is text")
    config = changed()
    config["collections"]["pool"]["source"]["path"] = "texts"
    fresh.configure(config)
    done = fresh.snakemake("data/pool/index.json", check=False)
    assert done.returncode != 0
    (line,) = errors(done)
    assert "0 of 3 clips are usable" in line
    assert "min_success" in line
    assert not (fresh.folder / "data/pool/index.json").exists()


def test_a_test_clip_inside_the_pool_stops_the_run_before_any_training(fresh: Project) -> None:
    render_videos(fresh.folder / "mixed", 12)
    names = sorted(path.name for path in (fresh.folder / "mixed").glob("*.mp4"))
    rows = "".join(
        f"mixed/{name},{'ab'[number % 2]},{'test' if number < 4 else 'train'}\n" for number, name in enumerate(names)
    )
    (fresh.folder / "labelled.csv").write_text("path,label,split_1\n" + rows)
    config = changed()
    config["collections"]["pool"]["source"]["path"] = "mixed"
    config["collections"]["labelled"] = {
        "source": {"kind": "list", "path": "labelled.csv", "label_column": "label", "split_columns": ["split_1"]},
        "plan": {"duration_s": None},
    }
    fresh.configure(config)
    done = fresh.snakemake(check=False)
    assert done.returncode != 0
    (line,) = errors(done)
    assert "4 test clips" in line
    assert not list(fresh.run.glob("models/*/seed_*/*"))
    assert not list(fresh.run.glob("search/*/ind_*/metrics.jsonl"))


def test_without_any_ffmpeg_the_user_is_told_what_to_install(tmp_path: Path) -> None:
    """A Python without imageio-ffmpeg and a PATH without ffmpeg."""
    blocked = tmp_path / "imageio_ffmpeg.py"
    blocked.write_text("raise ImportError('not installed')\n")
    root = Path(__file__).resolve().parents[2]
    settings = '{"source": {"kind": "world", "videos": 1}, "seed": 0}'
    out = tmp_path / "world"
    command = [sys.executable, "-m", "pipeline_src.stages.render_world", "--settings", settings]
    done = subprocess.run(
        [*command, "--collection", "pool", "--threads", "1", "--out", str(out)],
        cwd=root,
        env={**os.environ, "PATH": "/nowhere", "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2
    (line,) = errors(done)
    assert "ffmpeg" in line
    assert not out.exists()
