"""The checked configuration and what the rules share. Standard library and pydantic only: every job parses this."""

import functools
import hashlib
import json
import os
import shutil
import sys
from pathlib import Path

from pipeline_src.clips.folder_state import check_source, folder_state, list_state
from pipeline_src.clips.retry import next_round, shards_of_rounds
from pipeline_src.clips.split_files import split_files
from pipeline_src.errors import UserError
from pipeline_src.evolution.trials import Trials
from pipeline_src.provenance import code_version
from pipeline_src.report import captions
from pipeline_src.settings import catalogue
from pipeline_src.settings.learning import TrainingSettings
from pipeline_src.settings.run import EVOLVED, load_settings
from pipeline_src.settings.search import StrategySettings
from pipeline_src.settings.transfer import WEIGHT_FILES

try:
    SETTINGS = load_settings(config)
    # A job need not look at what was looked at when it was planned.
    for name in SETTINGS.used_collections if plans() else []:
        check_source(f"collections.{name}.source", SETTINGS.collections[name].source)
        shards_of_rounds(
            Path(SETTINGS.data_root, name), SETTINGS.collections[name].retries, f"collections.{name}.retries"
        )
    start = SETTINGS.search.start_table
    if start and not Path(start).is_file():
        raise UserError(f"search.start: {start!r} - allowed: uniform, one_hot, or a table that exists")
    if start and Path(SETTINGS.results_root, SETTINGS.run).resolve() in Path(start).resolve().parents:
        raise UserError(f"search.start: {start!r} is this run's own - allowed: another run's, or a copy")
    for entry in SETTINGS.lineup:
        if entry.weights and entry.weights.endswith(WEIGHT_FILES) and not Path(entry.weights).is_file():
            raise UserError(f"lineup.{entry.name}.weights: {entry.weights!r} - allowed: a file that exists")
except UserError as error:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(2)

DATA = SETTINGS.data_root.rstrip("/")
RUN = f"{SETTINGS.results_root.rstrip('/')}/{SETTINGS.run}"
if plans():
    # What jobs on a cluster are given as their --configfile; kept once it is known to hold no password.
    workflow.config_settings.configfiles = planned_config(config) or workflow.config_settings.configfiles
    take_back_the_future([Path(DATA), Path(RUN)])
LABELLED = [name for name in SETTINGS.used_collections if name != "pool"]


def settings_json(**sections):
    """A stage's settings as JSON with sorted keys; as a param, a changed value reruns the stage."""

    def plain(value):
        return value.for_result() if hasattr(value, "for_result") else value

    return json.dumps({name: plain(value) for name, value in sections.items()}, sort_keys=True)


def machine_settings(**sections):
    """The settings that `settings_json` leaves out, as a parameter whose change reruns nothing.

    Snakemake takes a function of the resources for one that follows from them, and leaves it out of the provenance.
    """

    def plain(value):
        return value.for_machine() if hasattr(value, "for_machine") else value

    text = json.dumps({name: plain(value) for name, value in sections.items()}, sort_keys=True)
    return lambda wildcards, resources: text


def check_folders():
    """Stop where results cannot be written, before anything is done."""
    for name, folder in (("data_root", Path(DATA, "pool")), ("results_root", Path(RUN))):
        there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
        if not os.access(there, os.W_OK | os.X_OK):
            print(f"error: {name}: {str(there)!r} - allowed: a folder that can be written", file=sys.stderr)
            sys.exit(2)


def code(stage, *chosen):
    """Version of the code behind a stage and of the modules that the configuration chose for it."""
    return code_version(f"pipeline_src.stages.{stage}", *chosen)


def template_version():
    """Hash of the report's template, style and script, which are no Python."""
    folder = CODE / "pipeline_src" / "report"
    content = b"".join((folder / name).read_bytes() for name in ("page.html.jinja", "page.css", "page.js"))
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


def training_settings(training, loss=SETTINGS.loss, **more):
    shared = {"network": SETTINGS.network, "window": SETTINGS.window, "fit": SETTINGS.decode.fit}
    return settings_json(loss=loss, training=training, torch_threads=SETTINGS.torch_threads, **shared, **more)


def calibration():
    """What calibration takes of the proxy training: neither its length nor its optimiser changes the scales."""
    return TrainingSettings(batch_size=SETTINGS.proxy.batch_size)


def training_cores(training):
    """CPU cores of a training job: of each process, and of its readers."""
    return (SETTINGS.torch_threads + training.workers) * training.processes


def training_memory(training, each):
    """Megabytes of a training job: of each process, and of its readers."""
    return (each + 1000 * training.workers) * training.processes


PLAN_MACHINE = machine_settings(redo_hours=SETTINGS.redo_hours)
FETCH_MACHINE = machine_settings(fetch=SETTINGS.fetch)
# What YouTube finds depends on no setting of fetching.
SEARCH_MACHINE = machine_settings(fetch=SETTINGS.fetch.model_dump(mode="json"))
PROXY_MACHINE = machine_settings(training=SETTINGS.proxy)
CONTROLS_MACHINE = machine_settings(training=SETTINGS.proxy, fitness=SETTINGS.fitness)
FINAL_MACHINE = machine_settings(training=SETTINGS.final)
FITNESS_MACHINE = machine_settings(fitness=SETTINGS.fitness)
EMBED_MACHINE = machine_settings(embed=SETTINGS.transfer.embed)
FINETUNE_MACHINE = machine_settings(finetune=SETTINGS.transfer.finetune)


def fitness_settings(wildcards):
    return settings_json(fitness=SETTINGS.fitness, torch_threads=SETTINGS.torch_threads, seed=SETTINGS.seed)
