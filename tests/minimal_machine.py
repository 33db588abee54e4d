"""A machine with only torch, torchvision, safetensors, PyAV, numpy and what these need, for tests."""

import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from tests.tiny_run import ROOT

PACKAGES = ("torch", "torchvision", "safetensors", "av", "numpy")
# Python loads this module by itself in every process that it starts.
SITE = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in sys.stdlib_module_names and top not in {allowed!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}} on this machine", name=name)

sys.meta_path.insert(0, Refuse())
"""


def required(packages: tuple[str, ...]) -> set[str]:
    """Distributions that packages need, by name, with themselves."""
    found: set[str] = set()
    waiting = list(packages)
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name in found:
            continue
        found.add(name)
        try:
            needs = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        waiting += [re.match(r"[\w.-]+", need).group() for need in needs if "extra ==" not in need]
    return found


def run_there(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python there, from a working directory `folder`, with no program on PATH."""
    names = required(PACKAGES)
    modules = {
        module
        for module, owners in metadata.packages_distributions().items()
        if {re.sub(r"[-_.]+", "-", owner).lower() for owner in owners} & names
    }
    site = folder / "site"
    site.mkdir(parents=True, exist_ok=True)
    (site / "sitecustomize.py").write_text(SITE.format(allowed=sorted({*modules, "pipeline_src", "hubconf", "torch"})))
    environment = {**os.environ, "PYTHONPATH": f"{site}{os.pathsep}{ROOT}", "PATH": str(folder), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
