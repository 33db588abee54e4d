"""Encoders that others trained: torchvision's weights by name, a state dict of its networks, or this project's file."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from pipeline_src.errors import UserError
from pipeline_src.networks.encoder import Encoder, build_encoder
from pipeline_src.networks.encoder_file import EncoderConfig, Fit, load_encoder
from pipeline_src.networks.encoder_tensors import embedding_size
from pipeline_src.settings.learning import NetworkSettings, WindowSettings
from pipeline_src.settings.transfer import WEIGHT_FILES

# Of the frames that torchvision's video networks were trained on, per channel, 0 to 255.
MEAN = (255 * 0.43216, 255 * 0.394666, 255 * 0.37645)
STD = (255 * 0.22803, 255 * 0.22145, 255 * 0.216989)
# What a state dict's tensors may hold.
NUMBERS = {
    torch.float16, torch.bfloat16, torch.float32, torch.float64,
    torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64,
}  # fmt: skip


class FrameFormat(NamedTuple):
    """Frames that a network is trained on or shown: frames per second, size in pixels, and decode.fit."""

    rate: float
    height: int
    width: int
    fit: Fit

    def __str__(self) -> str:
        return f"{self.rate:g} frames per second of {self.height}x{self.width} pixels, fit {self.fit}"


def is_file(weights: str) -> bool:
    """Whether weights are named by a file."""
    return weights.endswith(WEIGHT_FILES)


def import_encoder(
    weights: str, network: str | None, window: WindowSettings, frames: FrameFormat
) -> tuple[Encoder, EncoderConfig]:
    """An RGB encoder from elsewhere and how it is used here.

    Args:
        weights: `r3d_18/KINETICS400_V1`, a name of torchvision's weights; or a file: encoder.safetensors of this
            project, which brings its own window, or a state dict of a torchvision network.
        network: the architecture that a state dict is for; None otherwise.
        window: of embeddings, where the weights bring none.
        frames: those of the collections.

    Raises:
        UserError: weights that cannot be read, downloaded or understood, or were trained with other frames. A foreign
            file is never unpickled to more than tensors.
    """
    if is_file(weights) and network is None:
        return _of_a_run(weights, frames)
    if network is None:
        network, _, name = weights.partition("/")
        state = _of_torchvision(network, name, weights)
    else:
        state = _of_file(Path(weights))
    encoder = build_encoder("rgb", network, 1)
    _load(encoder, state, f"{weights} for {network}")
    config = EncoderConfig(
        network=NetworkSettings.model_validate({"video": network}),
        window=window,
        frame_rate=frames.rate,
        height=frames.height,
        width=frames.width,
        fit=frames.fit,
        mean=MEAN,
        std=STD,
        embedding_size=embedding_size(encoder),
        provenance={"weights": weights},
    )
    return encoder.eval(), config


def _of_a_run(weights: str, frames: FrameFormat) -> tuple[Encoder, EncoderConfig]:
    encoder, config = load_encoder(weights)
    trained = FrameFormat(config.frame_rate, config.height, config.width, config.fit)
    if trained != frames:
        raise UserError(
            f"weights: {weights!r} was trained with {trained} - allowed: with this run's {frames}; change decode, or"
            " take an encoder of a run like this"
        )
    return encoder, config


def _of_torchvision(network: str, name: str, weights: str) -> Mapping[str, Tensor]:
    from torchvision.models import get_model_weights

    known = {str(found.name): found for found in get_model_weights(network)}
    if name not in known:
        raise UserError(f"weights: {weights!r} - allowed: {', '.join(f'{network}/{found}' for found in known)}")
    try:
        return dict(known[name].get_state_dict(progress=False, check_hash=True))
    except (OSError, RuntimeError) as error:
        folder = os.path.join(torch.hub.get_dir(), "checkpoints")
        raise UserError(
            f"weights: {weights!r} - cannot be downloaded ({error}); put {os.path.basename(known[name].url)} into"
            f" {folder}, or give a file"
        ) from error


def _of_file(path: Path) -> Mapping[str, Tensor]:
    found: Any
    try:
        if path.suffix == ".safetensors":
            found = load_file(path)
        else:
            found = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file of weights") from error
    except (SafetensorError, OSError, EOFError, ValueError, KeyError, RuntimeError) as error:
        what = (str(error) or type(error).__name__).splitlines()[0]
        raise UserError(f"{path}: not a file of weights ({what})") from error
    except Exception as error:
        # UnpicklingError: more than tensors. Its message says how to run such a file; nobody should.
        raise UserError(f"{path}: holds more than tensors, or is damaged - allowed: a state dict") from error
    for key in ("state_dict", "model"):
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            found = found[key]
    if not isinstance(found, Mapping) or not all(isinstance(key, str) and _usable(found[key]) for key in found):
        raise UserError(f"{path}: not a state dict - allowed: names and dense tensors of finite numbers")
    return found


def _usable(value: Any) -> bool:
    """Whether a network's parameter can be filled with it."""
    stored = isinstance(value, Tensor) and value.layout is torch.strided and not value.is_meta
    return stored and value.dtype in NUMBERS and bool(value.isfinite().all())


def _load(encoder: Encoder, state: Mapping[str, Tensor], where: str) -> None:
    """Fill an encoder from a state dict of the whole network, whose classifier is left out."""
    own = encoder.state_dict()
    given = {f"parts.{name.removeprefix('module.')}": tensor for name, tensor in state.items()}
    for name, tensor in own.items():
        shape = tuple(given[name].shape) if name in given else None
        if shape != tuple(tensor.shape):
            raise UserError(f"{where}: {name.removeprefix('parts.')} has shape {shape} - needed: {tuple(tensor.shape)}")
    encoder.load_state_dict({name: given[name] for name in own})
