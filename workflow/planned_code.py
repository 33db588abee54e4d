"""A run's jobs use the code and the configuration that the run was planned with, whatever is edited meanwhile.

The Snakemake that plans copies `pipeline_src` and the configuration into `.snakemake/planned`, and all jobs use the
copies. A job on a cluster reads the Snakefile again; the environment tells it where the code is, its command line where
the configuration is. Rules are not copied: where they were edited, the jobs that had not begun stop and say so.
Standard library only.
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
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PLANNED = Path(".snakemake", "planned")
CODE = "EVOLVED_LOSSES_CODE"
KEPT_S = 90 * 24 * 3600.0
# What this process has planned itself.
_own: set[str] = set()


def planned_code(checkout: Path, configuration: Sequence[Path] = ()) -> Path:
    """The folder whose `pipeline_src` this run's jobs use, absolute.

    Args:
        checkout: the folder of the Snakefile.
        configuration: what a job was given as `--configfile`.
    """
    rules = _digest(checkout, [checkout / "Snakefile", *_files(checkout / "workflow", {".smk", ".py"})])
    if not plans():
        folder = Path(os.environ[CODE])
        if not (folder / "RULES").is_file():
            _stop(f"{folder} is gone, the copy of the code that this run was planned with")
        if (folder / "RULES").read_text() != rules:
            _stop("Snakefile or workflow/ was edited after this run was planned")
        for used in (folder, *configuration):
            with contextlib.suppress(OSError):
                os.utime(used)
        return folder
    try:
        folder = _copied(checkout, {"RULES": rules, "REVISION": _revision(checkout)})
        os.utime(folder)
    except OSError:
        # Where Snakemake may not write it can run nothing either; to look at a plan, the checkout will do.
        return checkout
    with contextlib.suppress(OSError):  # another Snakemake may clear at the same time
        _clear()
    os.environ[CODE] = str(folder.resolve())
    _own.add(os.environ[CODE])
    return folder.resolve()


def plans() -> bool:
    """Whether this Snakemake plans a run, and is not a job of one."""
    return os.environ.get(CODE, "") in {"", *_own}


def planned_config(config: dict[str, Any]) -> list[Path]:
    """The file with the configuration of a run that is planned, for its jobs; none where nothing can be written."""
    # What YAML has and JSON does not is refused by the check of the settings.
    text = json.dumps(config, indent=1, default=str)
    path = PLANNED.resolve() / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"
    part = path.with_suffix(f".{os.getpid()}")
    try:
        part.write_text(text)
        part.replace(path)
    except OSError:
        return []
    return [path]


def _files(folder: Path, suffixes: set[str] | None = None) -> list[Path]:
    """The files below a folder, but for compiled ones."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.parent.name != "__pycache__")
    return [path for path in found if suffixes is None or path.suffix in suffixes]


def _digest(folder: Path, files: list[Path]) -> str:
    """Hash of files' names in a folder and their content."""
    lines = [f"{path.relative_to(folder)} {hashlib.sha256(path.read_bytes()).hexdigest()}\n" for path in files]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _revision(checkout: Path) -> str:
    """The checkout's commit, with "-dirty" when files differ from it; "unknown" outside a git checkout."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        run = subprocess.run(command, cwd=checkout, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return run.stdout.strip() if run.returncode == 0 and run.stdout.strip() else "unknown"


def _copied(checkout: Path, texts: dict[str, str]) -> Path:
    """The copy of `pipeline_src` with texts beside it, in a folder named by their content; made where there is none."""
    package = _files(checkout / "pipeline_src")
    folder = PLANNED / _name(checkout, package, texts)
    if folder.is_dir():
        return folder
    PLANNED.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(dir=PLANNED))
    try:
        for file in package:
            target = part / file.relative_to(checkout)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
            target.chmod(0o444)
        # By what was copied: somebody may be editing just now.
        folder = PLANNED / _name(part, _files(part), texts)
        for name, text in texts.items():
            (part / name).write_text(text)
        part.chmod(0o755)
        part.rename(folder)
    except OSError:
        shutil.rmtree(part, ignore_errors=True)
        if not folder.is_dir():  # else another Snakemake was faster
            raise
    return folder


def _name(folder: Path, files: list[Path], texts: dict[str, str]) -> str:
    return hashlib.sha256(f"{_digest(folder, files)} {sorted(texts.items())}".encode()).hexdigest()[:16]


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
