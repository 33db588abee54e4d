"""A run's jobs use the code and the configuration that the run was planned with, whatever is edited meanwhile.

The Snakemake that plans copies `pipeline_src` and the configuration into `.snakemake/planned`, and all jobs use the
copies. A job on a cluster reads the Snakefile again; the environment tells it where the copies are. Rules are not
copied: where they were edited, the jobs that had not begun stop and say so. Standard library only.
"""

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

PLANNED = Path(".snakemake", "planned")
CODE, CONFIG = "EVOLVED_LOSSES_CODE", "EVOLVED_LOSSES_CONFIG"
KEPT_S = 90 * 24 * 3600.0
# What this process has planned itself.
_own: set[str] = set()


def planned_code(checkout: Path) -> Path:
    """The folder whose `pipeline_src` this run's jobs use, absolute.

    Args:
        checkout: the folder of the Snakefile.
    """
    rules = _digest([checkout / "Snakefile", *sorted((checkout / "workflow").rglob("*.smk"))])
    if not plans():
        folder = Path(os.environ[CODE])
        if not (folder / "RULES").is_file():
            _stop(f"{folder} is gone, the copy of the code that this run was planned with")
        if (folder / "RULES").read_text() != rules:
            _stop("Snakefile or workflow/ was edited after this run was planned")
        return folder
    files = [
        path
        for path in sorted((checkout / "pipeline_src").rglob("*"))
        if path.is_file() and path.parent.name != "__pycache__"
    ]
    revision = _revision(checkout)
    folder = PLANNED / hashlib.sha256(f"{_digest(files)} {rules} {revision}".encode()).hexdigest()[:16]
    try:
        if not folder.is_dir():
            _copy(checkout, files, folder, {"RULES": rules, "REVISION": revision})
        os.utime(folder)
    except OSError:
        # Where Snakemake may not write it can run nothing either; to look at a plan, the checkout will do.
        return checkout
    with contextlib.suppress(OSError):  # another Snakemake may clear at the same time
        _clear()
    _set(CODE, folder)
    return folder.resolve()


def plans() -> bool:
    """Whether this Snakemake plans a run, and is not a job of one."""
    return os.environ.get(CODE, "") in {"", *_own}


def planned_config(config: dict[str, Any]) -> None:
    """Keep the configuration of a run that is planned; in a job of such a run, take that one instead."""
    if os.environ.get(CONFIG, "") not in {"", *_own}:
        try:
            kept = json.loads(Path(os.environ[CONFIG]).read_text())
        except (OSError, ValueError):
            _stop(f"{os.environ[CONFIG]} is gone, the configuration that this run was planned with")
        config.clear()
        config.update(kept)
    elif CODE in os.environ:
        # What YAML has and JSON does not is refused by the check of the settings.
        text = json.dumps(config, indent=1, default=str)
        path = PLANNED.resolve() / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"
        with contextlib.suppress(OSError):
            part = path.with_suffix(f".{os.getpid()}")
            part.write_text(text)
            part.replace(path)
            _set(CONFIG, path)


def _set(name: str, path: Path) -> None:
    os.environ[name] = str(path.resolve())
    _own.add(os.environ[name])


def _digest(files: list[Path]) -> str:
    return hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in files)).hexdigest()


def _revision(checkout: Path) -> str:
    """The checkout's commit, with "-dirty" when files differ from it; "unknown" outside a git checkout."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        run = subprocess.run(command, cwd=checkout, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return run.stdout.strip() if run.returncode == 0 and run.stdout.strip() else "unknown"


def _copy(checkout: Path, files: list[Path], folder: Path, texts: dict[str, str]) -> None:
    PLANNED.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=PLANNED))
    try:
        for file in files:
            target = part / file.relative_to(checkout)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
        for name, text in texts.items():
            (part / name).write_text(text)
        part.chmod(0o755)
        part.rename(folder)
    except OSError:
        shutil.rmtree(part, ignore_errors=True)
        if not folder.is_dir():  # else another Snakemake was faster
            raise


def _clear() -> None:
    """Remove what no run has used for months."""
    for entry in PLANNED.iterdir():
        if entry.stat().st_mtime < time.time() - KEPT_S:
            if entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink(missing_ok=True)


def _stop(reason: str) -> None:
    print(f"error: {reason}; start Snakemake again, what has been finished stays", file=sys.stderr)
    sys.exit(2)
