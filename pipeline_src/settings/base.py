"""The base of all settings models, and how a wrong value is told to the user."""

from difflib import get_close_matches

from pydantic import BaseModel, ConfigDict, ValidationError


class Settings(BaseModel):
    """Unknown keys are errors; values do not change after validation."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


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
