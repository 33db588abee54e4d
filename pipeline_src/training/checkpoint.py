"""Resume checkpoints: a sibling of the outputs that Snakemake does not know, so that it survives a failed job."""

import io
import os
import sys
from pathlib import Path
from typing import Any

import torch

from pipeline_src.files import whole_file


class Checkpoint:
    """A training state on disk that belongs to one version of settings, code and inputs.

    Args:
        path: the file.
        belongs_to: a mark; a checkpoint with another mark is ignored.
    """

    def __init__(self, path: str | os.PathLike[str], belongs_to: str) -> None:
        self.path = Path(path)
        self._belongs_to = belongs_to

    def save(self, state: dict[str, Any]) -> None:
        """Write the state whole; a full disk is a DiskFullError."""
        content = io.BytesIO()
        torch.save({"belongs_to": self._belongs_to, "state": state}, content)
        # The view is released before an error of a full disk leaves: Python 3.12.1 crashes on one that outlives that.
        with whole_file(self.path) as part, content.getbuffer() as view, part.open("wb") as file:
            file.write(view)

    def load(self) -> dict[str, Any] | None:
        """The saved state; None where there is none that belongs here or, with a line on stderr, it cannot be read."""
        if not self.path.exists():
            return None
        try:
            found = torch.load(self.path, map_location="cpu", weights_only=True)
        except Exception as error:  # a truncated or foreign file
            print(f"warning: {self.path} cannot be read, training starts anew ({error})", file=sys.stderr)
            return None
        if not isinstance(found, dict) or found.get("belongs_to") != self._belongs_to:
            return None
        return dict(found["state"])

    def remove(self) -> None:
        """Delete the file; training has ended."""
        self.path.unlink(missing_ok=True)
