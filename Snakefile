"""Evolved losses for self-supervised video representation learning, as one cached DAG."""

import os
import sys
from pathlib import Path

from snakemake.utils import min_version

min_version("9.0")

# Edits during a run harm nothing: jobs use a copy of the code and of the configuration.
sys.path.insert(0, f"{workflow.basedir}/workflow")
from clock import take_back_the_future
from planned_code import planned_code, planned_config, plans
from redo_guard import check_nothing_is_left, guard

CODE = planned_code(Path(workflow.basedir), workflow.config_settings.configfiles)
# Rules call `python -m pipeline_src.stages...`: this Python, and that copy, whatever the folder that they run in holds.
sys.path.insert(0, str(CODE))
os.environ.update(
    PYTHONPATH=str(CODE),
    PYTHONSAFEPATH="1",
    PATH=os.pathsep.join([os.path.dirname(sys.executable), os.getenv("PATH", os.defpath)]),
)
# A generation depends on the one before it, and Snakemake walks this chain recursively. 3,000 generations fit an
# 8 MB stack; the settings allow 2,500.
sys.setrecursionlimit(100_000)

# --configfile replaces the default configuration; merged with it, the demo's collections would stay in.
if not workflow.config_settings.configfiles:

    configfile: f"{workflow.basedir}/config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/inputs.smk"
include: "workflow/rules/search_inputs.smk"


wildcard_constraints:
    collection="[A-Za-z0-9][A-Za-z0-9_-]*",
    shard=r"\d{6}(r\d\d+)?",
    round=r"\d\d+",
    search="search|random",
    generation=r"\d\d\d+",
    rung=r"\d",
    job=r"\d\d\d+",
    entry="[A-Za-z0-9][A-Za-z0-9_-]*",
    seed=r"\d+",
    split=r"\d+",


# A second of work each: on a cluster they run where Snakemake does.
localrules:
    all,
    plan_clips,
    plan_retry,
    retry_failed,
    check_overlap,
    propose_weights,
    propose_controls,
    rank_generation,
    collect_individuals,
    choose_weights,
    collect_results,
    export_encoder,
    write_report,


include: "workflow/rules/clips.smk"
include: "workflow/rules/retry.smk"
include: "workflow/rules/features.smk"
include: "workflow/rules/checks.smk"
include: "workflow/rules/trials.smk"
include: "workflow/rules/controls.smk"
include: "workflow/rules/evolution.smk"
include: "workflow/rules/models.smk"
include: "workflow/rules/transfer.smk"
include: "workflow/rules/frozen.smk"
include: "workflow/rules/results.smk"
include: "workflow/rules/export.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/everything.smk"


if not plans():
    # A job of a plan knows what was planned; beside checkpoints it would plan all that comes before it once more.
    for each in workflow.rules:
        each.is_checkpoint = False


onstart:
    check_folders()
    guard(workflow.dag, SETTINGS.redo_hours)


onsuccess:
    check_nothing_is_left(workflow.scheduler.remaining_jobs)


rule all:
    default_target: True
    input:
        every_index(),
        every_shard,
        every_generation(),
        every_model(),
        f"{RUN}/overlap.json",
        f"{RUN}/transfer/results.csv",
        f"{RUN}/report/index.html",
    message:
        f"The run is finished: {RUN}/report/index.html"
