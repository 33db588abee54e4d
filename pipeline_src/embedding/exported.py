"""Exported encoders: one file and the module made of it, without the packages that training needs."""

import hashlib
import os
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from pipeline_src.embedding.clip_format import ClipFormat, read_format
from pipeline_src.errors import UserError
from pipeline_src.networks.encoder import Encoder
from pipeline_src.networks.encoder_tensors import embedding_size, read_tensors

FILE = "encoder.safetensors"
# Where the file's metadata keep the configuration.
KEY = "export"


class ClipEncoder(nn.Module):
    """RGB windows to embeddings, normalisation included.

    Args:
        encoder: the network.
        format: what it wants to see.
        digest: of the file that it came from.

    Attributes:
        format: as given.
        name: tells encoders apart: architecture, input, and digest of the file.
    """

    def __init__(self, encoder: Encoder, format: ClipFormat, digest: str) -> None:
        super().__init__()
        self.encoder, self.format = encoder, format
        self.name = f"{format}, {digest}"
        self.mean: Tensor
        self.std: Tensor
        for name, value in (("mean", format.mean), ("std", format.std)):
            self.register_buffer(name, torch.tensor(value).view(1, 3, 1, 1, 1), persistent=False)

    def forward(self, frames: Tensor) -> Tensor:
        """Embeddings (N, D), float.

        Args:
            frames: (N, 3, T, H, W) RGB of 0 to 255, uint8 or float, at `format.frame_rate`. Trained with T, H and W of
                `format.frames`, `format.crop` and `format.crop`; others work, less well.

        Raises:
            ValueError: another shape.
        """
        if frames.dim() != 5 or frames.shape[1] != 3:
            raise ValueError(f"frames of shape {tuple(frames.shape)} - allowed: (N, 3, T, H, W)")
        values = ((frames.to(self.mean.dtype) - self.mean) / self.std).contiguous()
        pooled: Tensor = self.encoder(values)[3].flatten(2).mean(2)
        return pooled


def load_exported(folder: str | os.PathLike[str], entry: str = "evolved") -> ClipEncoder:
    """An exported encoder in evaluation mode.

    Args:
        folder: of the export, or results/RUN.
        entry: which of the run's, for results/RUN.

    Raises:
        UserError: there is none, or the file is something else. Nothing in it is ever executed.
    """
    path = find_export(Path(folder), entry)
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(KEY)
    except (SafetensorError, OSError, ValueError) as error:
        raise UserError(f"{path}: not an exported encoder: {error}") from error
    if text is None:
        raise UserError(f"{path}: an encoder that is not exported - allowed: results/RUN/export/ENTRY")
    format = read_format(text, str(path))
    encoder = read_tensors(path, format.architecture, format.network_width)
    with open(path, "rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()[:12]
    size = embedding_size(encoder)
    if size != format.embedding_size:
        raise UserError(f"{path}: embedding_size {format.embedding_size} - its network gives {size}; export it again")
    return ClipEncoder(encoder, format, digest).eval()


def find_export(folder: Path, entry: str = "evolved") -> Path:
    """The encoder.safetensors of an export's folder, of the file itself, or of an entry of results/RUN.

    Raises:
        UserError: there is none.
    """
    for path in (folder, folder / FILE, folder / "export" / entry / FILE):
        if path.is_file():
            return path
    there = sorted(path.parent.name for path in folder.glob(f"export/*/{FILE}"))
    if there:
        raise UserError(f"{folder}: no export of {entry!r} - allowed: {', '.join(there)}")
    raise UserError(f"{folder}: no {FILE} - allowed: results/RUN/export/ENTRY, or results/RUN of a finished run")
