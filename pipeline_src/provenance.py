"""What code and settings a result belongs to. Standard library only: every Snakefile parse imports this."""

import ast
import contextlib
import hashlib
import json
import os
import platform
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "pipeline_src"
# Snakemake's own folder, where it is started.
CACHE = Path(".snakemake", "code_versions.json")
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
Facts = tuple[str, list[str]]
_used: dict[str, Facts] = {}


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
    seen: dict[str, str] = {}
    queue = list(modules)
    while queue:
        name = queue.pop()
        if name in seen:
            continue
        seen[name], imports = _facts(name)
        queue.extend(other for other in imports if _exists(other))
        if "." in name:
            queue.append(name.rpartition(".")[0])
    _remember()
    return hashlib.sha256("".join(f"{name} {seen[name]}\n" for name in sorted(seen)).encode()).hexdigest()[:16]


def _path(module: str) -> Path:
    base = ROOT.joinpath(*module.split("."))
    package = base / "__init__.py"
    return package if package.exists() else base.with_suffix(".py")


@cache
def _exists(module: str) -> bool:
    """Whether what is imported is a module, and not something in one."""
    return _path(module).exists()


@cache
def _facts(module: str) -> Facts:
    """What a module does, as a hash of its syntax, and what it imports of this package."""
    content = _path(module).read_bytes()
    # Another Python may write the same syntax otherwise.
    key = hashlib.sha256(platform.python_version().encode() + content).hexdigest()
    if key not in _used:
        _used[key] = _known().get(key) or _parsed(content)
    return _used[key]


def _parsed(content: bytes) -> Facts:
    tree = ast.parse(content)
    imports: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            imports.add(node.module)
            imports.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    syntax = hashlib.sha256(ast.unparse(tree).encode()).hexdigest()
    return syntax, sorted(name for name in imports if name.split(".")[0] == PACKAGE)


@cache
def _known() -> dict[str, Facts]:
    """Facts that an earlier process has left, by what they were found in."""
    try:
        return {key: (str(syntax), list(imports)) for key, (syntax, imports) in json.loads(CACHE.read_text()).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _remember() -> None:
    """Leave the facts of this process to those that come: parsing takes seconds, and every job of a cluster parses."""
    if not CACHE.parent.is_dir() or _used.keys() <= _known().keys():
        return
    part = CACHE.with_suffix(f".{os.getpid()}")
    with contextlib.suppress(OSError):
        part.write_text(json.dumps(_used))
        part.replace(CACHE)
    _known().update(_used)


def run_record(settings: dict[str, Any], packages: tuple[str, ...] = ()) -> dict[str, Any]:
    """What a reader needs to repeat a result: settings and their hash, git revision, Python and package versions."""
    text = json.dumps(settings, sort_keys=True)
    return {
        "settings": settings,
        "settings_hash": hashlib.sha256(text.encode()).hexdigest()[:16],
        "git_revision": git_revision(),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "packages": {name: package_version(name) for name in packages},
    }


def git_revision() -> str:
    """The commit that the run was planned with, with "-dirty" when files differed from it; "unknown" without git."""
    try:
        return (ROOT / "REVISION").read_text()
    except OSError:
        return "unknown"


def package_version(name: str) -> str:
    """The version of an installed package, or "not installed"."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"
