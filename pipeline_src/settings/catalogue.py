"""What flow methods, task families and strategies there are, read from their files without importing them.

A module of these kinds declares literal tables at its top: `SETTINGS` with a default, a range or choices, and a
description per setting; where all settings of another choice hold too, `SHARED_SETTINGS` with its name; for tasks
`TERMS` with the weights' names, `SOURCE` with the paper, `GROUP`, and where they apply `MINIMUM_FRAMES` of a window and
`READS_LABELS`; for flow methods that read compressed video `READS_MEDIA`; and for strategies that need several
individuals `MINIMUM_POPULATION`. So the Snakefile can validate a configuration without loading torch or OpenCV, and a
new file is known as soon as it exists.
"""

import ast
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).resolve().parent.parent
TABLES = (
    "SETTINGS",
    "SHARED_SETTINGS",
    "TERMS",
    "SOURCE",
    "GROUP",
    "MINIMUM_FRAMES",
    "READS_LABELS",
    "READS_MEDIA",
    "MINIMUM_POPULATION",
)
KINDS = {"flow": "features/flow", "task": "tasks", "strategy": "evolution/strategies"}


@cache
def names(kind: str) -> tuple[str, ...]:
    """The choices of a kind ("flow", "task" or "strategy"), sorted: modules that declare SETTINGS."""
    folder = PACKAGE / KINDS[kind]
    return tuple(sorted(p.stem for p in folder.glob("*.py") if "SETTINGS" in _literals(p)))


def module(kind: str, name: str) -> str:
    """Dotted name of the module behind a choice."""
    return f"pipeline_src.{KINDS[kind].replace('/', '.')}.{name}"


def declared(kind: str, name: str) -> dict[str, dict[str, Any]]:
    """The settings that a choice declares: name to {"default", "minimum", "maximum", "choices", "help"}."""
    found = _literals(PACKAGE / KINDS[kind] / f"{name}.py")
    shared = declared(kind, found["SHARED_SETTINGS"]) if "SHARED_SETTINGS" in found else {}
    return {**shared, **found["SETTINGS"]}


def reads_media(method: str) -> bool:
    """Whether a flow method works on the compressed video instead of on frames."""
    return bool(_literals(PACKAGE / KINDS["flow"] / f"{method}.py").get("READS_MEDIA", False))


@cache
def terms() -> dict[str, str]:
    """Every known term of the loss and the task family that computes it."""
    found = {}
    for family in names("task"):
        for term in _literals(PACKAGE / KINDS["task"] / f"{family}.py")["TERMS"]:
            found[term] = family
    return found


def source(family: str) -> str:
    """The paper behind a task family; empty where its module names none."""
    return str(_literals(PACKAGE / KINDS["task"] / f"{family}.py").get("SOURCE", ""))


def group(family: str) -> str:
    """What kind of task a family is: elo, contrast, time, space, sound, pixels, or what its module says; else other."""
    return str(_literals(PACKAGE / KINDS["task"] / f"{family}.py").get("GROUP", "other"))


def minimum_frames(family: str) -> int:
    """Frames that a window must have for a task family."""
    return int(_literals(PACKAGE / KINDS["task"] / f"{family}.py").get("MINIMUM_FRAMES", 2))


def minimum_population(strategy: str) -> int:
    """Individuals that a generation of a strategy must have."""
    return int(_literals(PACKAGE / KINDS["strategy"] / f"{strategy}.py").get("MINIMUM_POPULATION", 1))


def reads_labels(family: str) -> bool:
    """Whether a task family learns from labels: an upper bound, which no search may weight."""
    return bool(_literals(PACKAGE / KINDS["task"] / f"{family}.py").get("READS_LABELS", False))


def matching_terms(pattern: str) -> list[str]:
    """Terms that a name, a pattern such as `*.shuffle`, or a group's name stands for; none that reads labels."""
    return [
        name
        for name, family in terms().items()
        if not reads_labels(family) and (fnmatchcase(name, pattern) or group(family) == pattern)
    ]


def modalities_of(term: str) -> tuple[str, ...]:
    """Modalities that a term's name says it reads."""
    named = term.split(".")[1] if term.startswith("distill.") else term.rsplit(".", 1)[0]
    both = ("rgb",) if term.startswith("distill.") else ()
    return tuple(sorted({*both, *named.replace(">", "~").split("~")}))


def check_choice(kind: str, name: str) -> None:
    """Raise ValueError when there is no such flow method, task family or strategy."""
    if name not in names(kind):
        raise ValueError(f"{name!r} - {suggest(name, names(kind))}")


def complete(kind: str, name: str, given: dict[str, Any]) -> dict[str, Any]:
    """The full settings of a choice: its defaults with the given ones, checked.

    Raises:
        ValueError: a name, type or value that the choice does not allow.
    """
    table = declared(kind, name)
    for key, value in given.items():
        if key not in table:
            raise ValueError(f"{name}.{key}: unknown setting; {suggest(key, tuple(table))}")
        _check(f"{name}.{key}", value, table[key])
    # As the declared type: a module may count on whole numbers where 5.0 is given for 5.
    return {key: type(entry["default"])(given.get(key, entry["default"])) for key, entry in sorted(table.items())}


def suggest(name: str, allowed: tuple[str, ...]) -> str:
    """What to write instead of a wrong name."""
    near = get_close_matches(name, allowed, n=1)
    listed = ", ".join(allowed) if len(allowed) <= 12 else f"one of {len(allowed)} names"
    return f"did you mean {near[0]!r}?" if near else f"allowed: {listed or 'none'}"


def _check(where: str, value: Any, entry: dict[str, Any]) -> None:
    wanted = type(entry["default"])
    number = wanted in (int, float) and isinstance(value, int | float) and not isinstance(value, bool)
    if "choices" in entry:
        if value not in entry["choices"] or isinstance(value, bool) != (wanted is bool):
            raise ValueError(f"{where}: {value!r} - allowed: {', '.join(map(str, entry['choices']))}")
    elif not ((number and (wanted is float or float(value).is_integer())) or type(value) is wanted):
        raise ValueError(f"{where}: {value!r} - allowed: a value of type {wanted.__name__}")
    elif number and not entry.get("minimum", float("-inf")) <= value <= entry.get("maximum", float("inf")):
        raise ValueError(f"{where}: {value!r} - allowed: {entry.get('minimum', '')} to {entry.get('maximum', '')}")


@cache
def _literals(path: Path) -> dict[str, Any]:
    found = {}
    for node in ast.parse(path.read_text()).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        name = getattr(targets[0], "id", None)
        if name in TABLES and isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            found[name] = ast.literal_eval(node.value)
    return found
