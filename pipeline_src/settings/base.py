"""The base of all settings models, and how a wrong value is told to the user."""

from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

# Settings of where and how a job runs. They rerun nothing: on one kind of device they change a result by rounding at
# most. GPUs draw other noise than CPUs do (rgb.denoise).
MACHINE = frozenset({"device", "processes", "workers", "tensorboard", "checkpoint_every_s", "scratch", "redo_hours"})


class Settings(BaseModel):
    """Unknown keys are errors; values do not change after validation."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def for_result(self) -> dict[str, Any]:
        """What a result depends on, as plain values: all but the settings of MACHINE."""
        return self._part(machine=False)

    def for_machine(self) -> dict[str, Any]:
        """The settings of MACHINE in the sections that have them, as plain values."""
        return self._part(machine=True)

    def _part(self, machine: bool) -> dict[str, Any]:
        part = {}
        for name, plain in self.model_dump(mode="json").items():
            value = getattr(self, name)
            if isinstance(value, Settings):
                inner = value._part(machine)
                if inner or not machine:
                    part[name] = inner
            elif (name in MACHINE) == machine:
                part[name] = plain
        return part


def merged(one: dict[str, Any], two: dict[str, Any]) -> dict[str, Any]:
    """Both dicts' entries, and so within the dicts that both have; of others the second's wins."""
    both = one | two
    for name in one.keys() & two.keys():
        if isinstance(one[name], dict) and isinstance(two[name], dict):
            both[name] = merged(one[name], two[name])
    return both


def describe_error(error: ValidationError, known: dict[str, list[str]] | None = None) -> str:
    """One line per problem: the setting, the value found, what is allowed.

    Args:
        error: what pydantic raised.
        known: the allowed keys per section ("" for the top), to suggest the nearest one for a typo.
    """
    lines = []
    for problem in error.errors():
        parts = [str(part) for part in problem["loc"]]
        where = ".".join(parts)
        if problem["type"] == "extra_forbidden":
            allowed = (known or {}).get(".".join(parts[:-1]), [])
            near = get_close_matches(parts[-1], allowed, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; allowed: {', '.join(allowed)}" if allowed else ""
            lines.append(f"{where}: unknown setting{hint}")
        elif problem["type"] == "missing":
            lines.append(f"{where}: missing")
        else:
            message = problem["msg"].removeprefix("Value error, ").replace("Input should be", "allowed:")
            value = problem.get("input")
            shown = f" {value!r}" if isinstance(value, str | int | float | bool | None) else ""
            told = f"{shown} - {message}" if shown else f" {message}"
            lines.append(f"{where}:{told}" if where else message)
    return "; ".join(lines)
