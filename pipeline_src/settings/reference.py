"""The settings reference as Markdown, from the typed models and what flow methods, tasks and strategies declare."""

import json
import types
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from pipeline_src.settings import catalogue
from pipeline_src.settings.base import Settings
from pipeline_src.settings.run import RunSettings

HEAD = """# Settings

Made by `make docs` from `pipeline_src/settings`. A configuration is a YAML file: `snakemake --configfile my.yaml`;
without one, `config/config.yaml` is used. It is checked whole before anything runs. Only what differs from a default
needs to stand in it. Examples: `config/examples`.
"""


def reference() -> str:
    """The whole page."""
    parts = [HEAD, _table("Top level", RunSettings)]
    seen: list[type[Settings]] = []
    _collect(RunSettings, seen)
    parts.extend(_table(_title(model), model) for model in seen)
    for kind, heading in (("flow", "Flow methods"), ("strategy", "Search strategies"), ("task", "Task families")):
        parts.append(f"## {heading}\n")
        parts.extend(_choice(kind, name) for name in catalogue.names(kind))
    return "\n".join(parts)


def _collect(model: type[Settings], seen: list[type[Settings]]) -> None:
    for field in model.model_fields.values():
        for inner in _models(field.annotation):
            if inner not in seen:
                seen.append(inner)
                _collect(inner, seen)


def _models(annotation: Any) -> list[type[Settings]]:
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return [annotation]
    return [found for argument in get_args(annotation) for found in _models(argument)]


def _title(model: type[Settings]) -> str:
    return model.__name__.removesuffix("Settings") or model.__name__


def _table(title: str, model: type[Settings]) -> str:
    lines = [f"## {title}\n", f"{(model.__doc__ or '').strip().splitlines()[0]}\n"]
    lines += ["| setting | type | default | allowed | meaning |", "|---|---|---|---|---|"]
    for name, field in model.model_fields.items():
        cells = (f"`{name}`", _type(field.annotation), _default(field), _allowed(field), field.description or "")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _type(annotation: Any) -> str:
    origin = get_origin(annotation)
    if origin is Literal:
        return "choice"
    if origin in (Union, types.UnionType):
        return " or ".join(_type(part) for part in get_args(annotation))
    if origin is tuple:
        return f"list of {_type(get_args(annotation)[0])}"
    if origin is dict:
        return "mapping"
    models = _models(annotation)
    if models:
        return " or ".join(f"[{_title(model)}](#{_title(model).lower()})" for model in models)
    return {"str": "text", "int": "integer", "float": "number", "bool": "true or false", "NoneType": "null"}.get(
        getattr(annotation, "__name__", ""), str(annotation)
    )


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.default
    if value is PydanticUndefined or isinstance(value, Settings):
        return "its defaults"
    if isinstance(value, tuple):
        shown = ", ".join(getattr(item, "name", str(item)) for item in value)
        return f"`[{shown}]`"
    return f"`{value}`" if isinstance(value, str) else f"`{json.dumps(value)}`"


def _allowed(field: FieldInfo) -> str:
    choices = [str(item) for item in get_args(field.annotation)] if get_origin(field.annotation) is Literal else []
    if choices:
        return ", ".join(choices)
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<", "multiple_of": "multiple of", "min_length": "at least"}
    found = [
        f"{sign} {getattr(limit, name):g}"
        for limit in field.metadata
        for name, sign in signs.items()
        if hasattr(limit, name)
    ]
    return ", ".join(found)


def _choice(kind: str, name: str) -> str:
    table = catalogue.declared(kind, name)
    lines = [f"### `{name}`\n"]
    if kind == "task":
        terms = [f"`{term}`" for term, family in catalogue.terms().items() if family == name]
        bound = "; reads labels: for lineup entries of kind upper_bound only" if catalogue.reads_labels(name) else ""
        lines.append(f"Group `{catalogue.group(name)}`{bound}. Terms: {', '.join(terms)}. {catalogue.source(name)}\n")
    if table:
        lines += ["| setting | default | allowed | meaning |", "|---|---|---|---|"]
    for key, entry in table.items():
        allowed = ", ".join(map(str, entry.get("choices", ()))) or (
            f"{entry['minimum']} to {entry['maximum']}" if "minimum" in entry and "maximum" in entry else ""
        )
        lines.append(f"| `{key}` | `{entry['default']}` | {allowed} | {entry['help']} |")
    return "\n".join(lines) + "\n"
