"""The checked configuration and what the rules share. Standard library and pydantic only: every job parses this."""

import functools
import hashlib
import json
import shutil
import sys
from pathlib import Path

from pipeline_src.clips.folder_state import check_source, folder_state, list_state
from pipeline_src.clips.retry import next_round, shards_of_rounds
from pipeline_src.errors import UserError
from pipeline_src.provenance import code_version
from pipeline_src.settings import catalogue
from pipeline_src.settings.run import EVOLVED, load_settings

try:
    SETTINGS = load_settings(config)
    for name in SETTINGS.used_collections:
        check_source(f"collections.{name}.source", SETTINGS.collections[name].source)
        shards_of_rounds(
            Path(SETTINGS.data_root, name), SETTINGS.collections[name].retries, f"collections.{name}.retries"
        )
except UserError as error:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(2)

DATA = SETTINGS.data_root.rstrip("/")
RUN = f"{SETTINGS.results_root.rstrip('/')}/{SETTINGS.run}"
LABELLED = [name for name in SETTINGS.used_collections if name != "pool"]


def settings_json(**sections):
    """A stage's settings as JSON with sorted keys; as a param, a changed value reruns the stage."""

    def plain(value):
        if hasattr(value, "model_dump"):
            return value.model_dump(mode="json")
        return value

    return json.dumps({name: plain(value) for name, value in sections.items()}, sort_keys=True)


def code(stage, *chosen):
    """Version of the code behind a stage and of the modules that the configuration chose for it."""
    return code_version(f"pipeline_src.stages.{stage}", *chosen)


def template_version():
    """Hash of the report's template and style, which are no Python."""
    folder = Path(workflow.basedir) / "pipeline_src" / "report"
    content = b"".join((folder / name).read_bytes() for name in ("page.html.jinja", "page.css"))
    return hashlib.sha256(content).hexdigest()[:16]


def grows(amount):
    """A resource that grows with every attempt."""
    return lambda wildcards, attempt: amount * attempt


def gpus(device):
    """GPUs of a job: one where the setting asks for it, or where it is left open and this machine has one."""
    return int(device == "cuda" or (device == "auto" and shutil.which("nvidia-smi") is not None))


def term_modules(terms):
    """Modules of the task families behind terms."""
    return [catalogue.module("task", family) for family in sorted({catalogue.terms()[term] for term in terms})]


def training_settings(training, **more):
    return settings_json(
        loss=SETTINGS.loss,
        network=SETTINGS.network,
        window=SETTINGS.window,
        training=training,
        torch_threads=SETTINGS.torch_threads,
        **more,
    )


def fitness_settings(wildcards):
    return settings_json(fitness=SETTINGS.fitness, torch_threads=SETTINGS.torch_threads, seed=SETTINGS.seed)
