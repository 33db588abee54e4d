"""A tiny real run for tests: a folder of rendered videos as the pool, a small labelled world, two generations."""

import copy
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
TRACKED = ("Snakefile", "workflow", "profiles", "pipeline_src", "config")

TINY: dict[str, Any] = {
    "run": "tiny",
    "collections": {
        "pool": {
            "source": {"kind": "folder", "path": "videos"},
            "plan": {"duration_s": None, "clips_per_shard": 10},
            "modalities": ["rgb", "flow", "grey", "audio"],
        },
        "labelled": {
            "source": {"kind": "world", "part": "labelled", "videos": 48, "size": 48, "seconds": [0.8, 1.2]},
            "plan": {"duration_s": None, "clips_per_shard": 30},
        },
    },
    "decode": {"frame_rate": 8, "height": 32, "width": 32},
    "window": {"frames": 4, "crop": 32, "future_frames": 2},
    "network": {"video": "small_r3d", "width": 4, "decoder_width": 4},
    "loss": {
        "terms": ["rgb.shuffle", "rgb>flow.translate", "audio~rgb.align", "distill.grey.layer2"],
        "calibrate_batches": 2,
    },
    "proxy": {"iterations": 4, "batch_size": 8},
    "final": {"iterations": 6, "batch_size": 8},
    "search": {"population": 2, "generations": 2, "controls": ["rgb.shuffle"], "trials": {"share": 2}},
    "fitness": {
        "clips": 24,
        "zipf": {"clusters": 3},
        "weak": {"collection": "labelled"},
        "min_effective_rank": 1.0,
        "min_stability": 0.0,
    },
    "lineup": [
        {"name": "evolved", "kind": "evolved"},
        {"name": "scratch", "kind": "scratch"},
    ],
    "transfer": {"collections": ["labelled"], "embed": {"windows": 2}, "finetune": {"iterations": 4}},
}


@dataclass(frozen=True)
class Project:
    """A copy of the project with a configuration of its own."""

    folder: Path

    def configure(self, config: dict[str, Any]) -> None:
        (self.folder / "tiny.yaml").write_text(yaml.safe_dump(config))

    def configure_list(self, lines: Iterable[str], clips_per_shard: int, **fetch: Any) -> dict[str, Any]:
        """A pool of RGB clips of a second each from a list of addresses and files, one a line; returns what is set."""
        (self.folder / "videos.txt").write_text("".join(lines))
        config = copy.deepcopy(TINY)
        config["fetch"] = {"allow_private": True, **fetch}
        config["collections"]["pool"] = {
            "source": {"kind": "list", "path": "videos.txt"},
            "plan": {"duration_s": 1.0, "clips_per_shard": clips_per_shard},
            "modalities": ["rgb"],
        }
        config["loss"]["terms"] = ["rgb.shuffle"]
        self.configure(config)
        return config

    def snakemake(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "snakemake", "--configfile", "tiny.yaml", "--cores", "2", *arguments]
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=1200)
        if check and done.returncode:
            raise AssertionError(
                f"snakemake {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr[-6000:]}"
            )
        return done

    def planned(self, *arguments: str) -> dict[str, int]:
        """What a dry-run would run: rule to number of jobs, without `all`."""
        return jobs(self.snakemake("--dry-run", *arguments))

    @property
    def run(self) -> Path:
        return self.folder / "results" / "tiny"


def jobs(done: subprocess.CompletedProcess[str]) -> dict[str, int]:
    """The table of jobs that Snakemake prints."""
    table = re.search(r"^job +count\n-+ +-+\n(.*?)^total", done.stdout + done.stderr, re.M | re.S)
    rows = table.group(1).split("\n") if table else []
    return {row.split()[0]: int(row.split()[1]) for row in rows if row.strip() and not row.startswith("all ")}


def copy_project(folder: Path) -> Project:
    folder.mkdir(parents=True, exist_ok=True)
    for name in TRACKED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    project = Project(folder)
    project.configure(TINY)
    return project


def render_videos(folder: Path, videos: int) -> None:
    """Videos of the built-in world as if they were a user's own folder."""
    source = {"kind": "world", "videos": videos, "size": 48, "seconds": [0.8, 1.4]}
    settings = json.dumps({"source": source, "seed": 0})
    command = [sys.executable, "-m", "pipeline_src.stages.render_world", "--settings", settings]
    command += ["--collection", "pool", "--threads", "2", "--out", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=300)
    for table in folder.glob("*.csv"):
        table.unlink()
