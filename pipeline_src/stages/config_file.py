"""Configuration files as Snakemake reads them, for programs that people call."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from pipeline_src.errors import UserError

DEFAULT_CONFIG = Path(__file__).resolve().parents[2] / "config" / "config.yaml"


def read_config(paths: Sequence[Path]) -> dict[str, Any]:
    """Configuration files as Snakemake merges them: mappings key by key, a later file over an earlier one.

    Raises:
        UserError: a file that is missing, or no YAML mapping.
    """
    merged: dict[str, Any] = {}
    for path in paths:
        try:
            values = yaml.safe_load(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise UserError(f"--configfile: {str(path)!r} - cannot be read: {error.strerror}") from error
        except (UnicodeDecodeError, yaml.YAMLError) as error:
            first = " ".join(str(error).split())
            raise UserError(f"{path}: not YAML ({first})") from error
        if not isinstance(values, dict):
            raise UserError(f"{path}: {type(values).__name__} - allowed: a mapping of settings")
        _update(merged, values)
    return merged


def _update(target: dict[str, Any], values: dict[str, Any]) -> None:
    for key, value in values.items():
        if isinstance(value, dict) and isinstance(target.get(key), dict):
            _update(target[key], value)
        else:
            target[key] = value
