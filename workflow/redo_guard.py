"""Before work worth hours is done again, the run stops and says what changed and what it costs."""

import ast
import json
import sys
from collections import Counter, defaultdict
from typing import Any, NamedTuple

SHOWN = 12


class Redone(NamedTuple):
    """A job that was finished before and would run again: what it took, and the changes that it does not take over."""

    rule: str
    seconds: float
    changes: tuple[str, ...]


def guard(dag: Any, allowed_hours: float) -> None:
    """Stop, unless what has been finished before and would run again took at most so many hours.

    What a run was told to do again (`--forcerun`, `--forceall`) does not count, nor what follows from that only. How
    long a job took is what its benchmark file says.

    Args:
        dag: Snakemake's, planned.
        allowed_hours: of jobs, one after the other.
    """
    # Here, because the Snakefile imports this before it knows where the planned code is.
    from pipeline_src.job_times import seconds_taken

    if dag.workflow.touch:
        return
    redone = [
        Redone(job.rule.name, seconds, tuple(changes(dag.reason(job))))
        for job in _unasked(dag)
        if job.benchmark and (seconds := seconds_taken(job.benchmark))
    ]
    if sum(job.seconds for job in redone) > 3600 * allowed_hours:
        print(told(redone, allowed_hours), file=sys.stderr)
        sys.exit(2)


def told(redone: list[Redone], allowed_hours: float) -> str:
    """What the run says when it stops: the cost, by cause, the dearest first."""
    seconds: dict[str, Counter[str]] = defaultdict(Counter)
    jobs: dict[str, Counter[str]] = defaultdict(Counter)
    for job in redone:
        cause = "; ".join(job.changes) or "what follows from that"
        seconds[cause][job.rule] += round(job.seconds)
        jobs[cause][job.rule] += 1
    hours = sum(job.seconds for job in redone) / 3600
    lines = [
        f"error: {hours:.1f} hours of finished work would be done again - allowed by redo_hours: {allowed_hours:g}"
    ]
    follows = [cause for cause in seconds if cause == "what follows from that"]
    causes = sorted(seconds.keys() - set(follows), key=lambda cause: (-seconds[cause].total(), cause))
    for cause in [*causes[:SHOWN], *follows]:
        names = ", ".join(f"{rule} ({jobs[cause][rule]})" for rule, _ in seconds[cause].most_common())
        lines.append(f"  {seconds[cause].total() / 3600:.1f} h  {cause}: {names}")
    if len(causes) > SHOWN:
        lines.append(f"  and {len(causes) - SHOWN} more causes")
    lines.append("Take the change back; or, with your other options: ")
    lines[-1] += f"snakemake --config redo_hours={int(hours) + 1}"
    return "\n".join(lines)


def _unasked(dag: Any) -> set[Any]:
    """The jobs that a change makes run, or that follow from such; not what the run was told to do again."""
    jobs = list(dag.needrun_jobs())
    forced = {job for job in jobs if dag.reason(job).forced}
    found = {job for job in jobs if job not in forced and changes(dag.reason(job))}
    waiting = list(found)
    while waiting:
        following = {job for job in dag.depending.get(waiting.pop(), ()) if dag.needrun(job)} - found
        found |= following
        waiting += following
    return found - forced


def check_nothing_is_left(jobs: list[Any]) -> None:
    """Stop a run that Snakemake takes for finished and that is not, as may happen with groups of jobs."""
    if jobs:
        counts = sorted(Counter(job.rule.name for job in jobs).items())
        names = ", ".join(f"{name} ({count})" for name, count in counts)
        print(
            f"error: Snakemake ended with {len(jobs)} jobs still to do: {names}; start it again, what has been finished"
            " stays",
            file=sys.stderr,
        )
        sys.exit(1)


def changes(reason: Any) -> list[str]:
    """What makes a job run again by itself, in words; nothing where it only follows from another."""
    found = []
    if reason.params_changed:
        found += parameter_changes(reason.params_changed.only_old, reason.params_changed.only_new)
    if reason.code_changed:
        found.append("its rule was edited")
    if reason.input_changed:
        found.append("its set of input files changed")
    if reason.software_stack_changed:
        found.append("its software environment changed")
    if reason.missing_output:
        found.append("files are missing")
    if reason.incomplete_output:
        found.append("files are incomplete")
    if reason.updated_input:
        found.append(f"{min(map(str, reason.updated_input))} changed")
    return found


def parameter_changes(old: set[str], new: set[str]) -> list[str]:
    """Differences between two sets of parameters as Snakemake keeps them: the settings that changed, or the code."""
    before, now = ([ast.literal_eval(text) for text in sorted(texts)] for texts in (old, new))
    found = []
    settings = [_settings(values) for values in (before, now)]
    if all(settings):
        was, is_ = settings
        for name in sorted(was.keys() | is_.keys()):
            if was.get(name) != is_.get(name):
                change = f"{name} {_short(was.get(name))} -> {_short(is_.get(name))}"
                found.append("its code" if name == "code" else change)
    elif any(settings):
        found.append("other settings")
    if any(_is_code(value) for value in now):
        found.append("its code")
    if any(isinstance(value, str) and value.startswith("videos ") for value in now):
        found.append("its videos changed")
    return found or ["other parameters"]


def _settings(values: list[Any]) -> dict[str, Any]:
    """The flattened settings among parameters: the JSON objects."""
    flat: dict[str, Any] = {}
    for value in values:
        if isinstance(value, str) and value.startswith("{"):
            flat |= _flat(json.loads(value))
    return flat


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        return {name: value}
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        flat |= _flat(inner, f"{name}.{key}" if name else key)
    return flat


def _is_code(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 16 and not set(value) - set("0123456789abcdef")


def _short(value: Any) -> str:
    text = "nothing" if value is None else json.dumps(value)
    return text if len(text) <= 40 else text[:37] + "..."
