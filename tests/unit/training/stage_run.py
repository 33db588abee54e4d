"""pretrain_model run as its rule runs it, in a process of its own."""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline_src.files import write_json
from pipeline_src.settings.base import MACHINE
from tests.unit.small_loss import small_loss

ROOT = Path(__file__).resolve().parents[3]

SETTINGS = {
    "loss": {"terms": ["rgb.reconstruct", "rgb.moco", "audio~rgb.embed"], "tasks": {"moco": {"queue": 16, "size": 8}}},
    "network": {"video": "small_r3d", "width": 4, "decoder_width": 4},
    "window": {"frames": 5, "crop": 16, "future_frames": 2},
    "fit": "crop",
    "training": {"iterations": 40, "batch_size": 4},
    "torch_threads": 1,
    "code": "x",
}


def pretrain_model(
    folder: Path, index: Path, terms: Sequence[str] | None = None, **training: Any
) -> subprocess.Popen[str]:
    """The stage as the rule calls it, on the terms of SETTINGS or on others."""
    folder.mkdir(exist_ok=True)
    machine = {name: training.pop(name) for name in MACHINE & training.keys()}
    settings = {**SETTINGS, "training": {**SETTINGS["training"], **training}}  # type: ignore[dict-item]
    weights = {"rgb.reconstruct": 1.0, "rgb.moco": 0.5, "audio~rgb.embed": 0.3}
    if terms is not None:
        weights = dict.fromkeys(terms, 0.5)
        settings |= {"loss": small_loss(*terms).model_dump(mode="json")}
    write_json(folder / "weights.json", weights)
    write_json(folder / "scales.json", {"terms": {}})
    command = [sys.executable, "-m", "pipeline_src.stages.pretrain_model"]
    command += ["--machine", json.dumps({"training": {"device": "cpu", **machine}})]
    command += ["--settings", json.dumps(settings), "--pool", str(index), "--seed", "0"]
    for name, file in (("weights", "weights.json"), ("scales", "scales.json"), ("encoder", "encoder.safetensors")):
        command += [f"--{name}", str(folder / file)]
    command += ["--config", str(folder / "config.json"), "--metrics", str(folder / "metrics.jsonl")]
    # A group of its own, as a job of a terminal has.
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True)


def wait_for_checkpoint(folder: Path, process: subprocess.Popen[str], seconds: float = 200) -> None:
    """Until the process has written a resume checkpoint or has ended."""
    deadline = time.monotonic() + seconds
    before = _written(folder)
    while _written(folder) == before and process.poll() is None:
        assert time.monotonic() < deadline, "no checkpoint appeared"
        time.sleep(0.02)


def _written(folder: Path) -> int | None:
    path = folder / "resume.pt"
    return path.stat().st_mtime_ns if path.exists() else None
