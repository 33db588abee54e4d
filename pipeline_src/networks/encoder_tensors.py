"""The parameters of an RGB encoder, read from a safetensors file; without the settings, which need pydantic."""

import os

import torch
from safetensors import safe_open

from pipeline_src.errors import UserError
from pipeline_src.networks.encoder import Encoder, build_encoder


def read_tensors(path: str | os.PathLike[str], architecture: str, width: int) -> Encoder:
    """The encoder of a file, in evaluation mode.

    Args:
        path: a safetensors file.
        architecture, width: as for build_encoder.

    Raises:
        UserError: tensors of other names or shapes than the architecture has.
    """
    # Shapes first, without memory: the architecture and width may be anyone's.
    with torch.device("meta"):
        wanted = {
            name: tuple(tensor.shape) for name, tensor in build_encoder("rgb", architecture, width).state_dict().items()
        }
    with safe_open(path, framework="pt") as file:
        found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        for name in sorted(wanted.keys() | found.keys()):
            if wanted.get(name) != found.get(name):
                raise UserError(
                    f"{os.fspath(path)}: {name} has shape {found.get(name)} - {architecture} needs {wanted.get(name)}"
                )
        encoder = build_encoder("rgb", architecture, width)
        encoder.load_state_dict({name: file.get_tensor(name) for name in found})
    return encoder.eval()


def embedding_size(encoder: Encoder) -> int:
    """Channels of an RGB encoder's last layer."""
    with torch.inference_mode():
        return int(encoder.eval()(torch.zeros(1, 3, 8, 32, 32))[3].shape[1])
