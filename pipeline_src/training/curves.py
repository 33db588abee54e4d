"""Metrics as curves for TensorBoard, which is an optional package."""

from pathlib import Path
from typing import Any

from pipeline_src.errors import UserError


class Curves:
    """Writes each logged step's numbers into a folder that TensorBoard reads.

    Args:
        folder: the folder; a resumed training goes on in it.
        first: the first iteration that will be added; later ones of an interrupted training are dropped.

    Raises:
        UserError: the package is not installed.
    """

    def __init__(self, folder: Path, first: int) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise UserError("tensorboard: true - the package is not installed; pip install tensorboard") from error
        self._writer: Any = SummaryWriter(str(folder), purge_step=first)

    def add(self, line: dict[str, Any]) -> None:
        """Add a line of metrics.jsonl."""
        step = line["iteration"]
        self._writer.add_scalar("total", line["total"], step)
        self._writer.add_scalar("learning rate", line["learning_rate"], step)
        for name, values in line["terms"].items():
            self._writer.add_scalar(f"raw/{name}", values["raw"], step)
            self._writer.add_scalar(f"scaled/{name}", values["scaled"], step)
        self._writer.flush()
