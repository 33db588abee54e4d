"""What code and settings a result belongs to. Standard library only: every Snakefile parse imports this."""

import ast
import hashlib
import json
import platform
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "pipeline_src"


@cache
def code_version(*modules: str) -> str:
    """Hash of what the named modules and everything of this project that they import do.

    The hash covers the syntax without comments, docstrings and layout, so editing those reruns nothing.
    Modules loaded by name at run time (flow methods, task families, strategies) are not seen by the walk:
    the caller names the chosen ones.

    Args:
        modules: dotted names such as "pipeline_src.stages.extract_flow".

    Returns:
        16 hexadecimal digits.
    """
    seen: set[str] = set()
    queue = list(modules)
    while queue:
        name = queue.pop()
        if name in seen:
            continue
        seen.add(name)
        queue.extend(_imports(name))
        if "." in name:
            queue.append(name.rpartition(".")[0])
    digest = hashlib.sha256()
    for name in sorted(seen):
        digest.update(f"{name}\n{_syntax(name)}\n".encode())
    return digest.hexdigest()[:16]


def _path(module: str) -> Path:
    base = ROOT.joinpath(*module.split("."))
    package = base / "__init__.py"
    return package if package.exists() else base.with_suffix(".py")


@cache
def _tree(module: str) -> ast.Module:
    return ast.parse(_path(module).read_text())


@cache
def _syntax(module: str) -> str:
    tree = ast.parse(_path(module).read_text())
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


@cache
def _imports(module: str) -> frozenset[str]:
    found: set[str] = set()
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(name for name in found if name.split(".")[0] == PACKAGE and _path(name).exists())


def run_record(settings: dict[str, Any], packages: tuple[str, ...] = ()) -> dict[str, Any]:
    """What a reader needs to repeat a result: settings and their hash, git revision, Python and package versions."""
    text = json.dumps(settings, sort_keys=True)
    return {
        "settings": settings,
        "settings_hash": hashlib.sha256(text.encode()).hexdigest()[:16],
        "git_revision": git_revision(),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "packages": {name: _package_version(name) for name in packages},
    }


def git_revision() -> str:
    """The checkout's commit, with "-dirty" when files differ from it; "unknown" outside a git checkout."""
    try:
        run = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return run.stdout.strip() if run.returncode == 0 and run.stdout.strip() else "unknown"


def _package_version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"
