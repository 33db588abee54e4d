"""A trained RGB encoder on disk: encoder.safetensors carries its own configuration; config.json is for people."""

import json
import os
from typing import Any

from pydantic import Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from pipeline_src.errors import UserError
from pipeline_src.files import whole_file
from pipeline_src.networks.encoder import Encoder
from pipeline_src.networks.encoder_tensors import read_tensors
from pipeline_src.settings.base import Settings, describe_error
from pipeline_src.settings.learning import NetworkSettings, WindowSettings


class EncoderConfig(Settings):
    """All that using an encoder needs.

    Attributes:
        network: its architecture.
        window: frames, crop and padding that it was trained with.
        frame_rate: frames per second.
        height, width: of the frames that crops were cut from, in pixels.
        mean, std: of the pool's frames per channel, 0 to 255.
        embedding_size: length of an embedding.
        provenance: the run record of its training.
    """

    network: NetworkSettings
    window: WindowSettings
    frame_rate: float
    height: int
    width: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    embedding_size: int
    provenance: dict[str, Any] = Field(default_factory=dict)


def save_encoder(path: str | os.PathLike[str], encoder: Encoder, config: EncoderConfig) -> None:
    """Write the encoder's parameters and, as their metadata, its configuration."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in encoder.state_dict().items()}
    with whole_file(path) as part:
        # As bytes, so that a full disk is an OSError.
        part.write_bytes(save(tensors, metadata={"config": json.dumps(config.model_dump(mode="json"), sort_keys=True)}))


def read_config(path: str | os.PathLike[str]) -> EncoderConfig:
    """The configuration inside encoder.safetensors.

    Raises:
        UserError: no such file, or not an encoder of this project.
    """
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get("config")
        if text is None:
            raise ValueError("it has no configuration")
        return EncoderConfig.model_validate(json.loads(text))
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such encoder file") from error
    except ValidationError as error:
        raise UserError(f"{path}: not an encoder of this project: {describe_error(error)}") from error
    except (SafetensorError, ValueError) as error:
        raise UserError(f"{path}: not an encoder of this project: {error}") from error


def load_encoder(path: str | os.PathLike[str]) -> tuple[Encoder, EncoderConfig]:
    """The encoder in evaluation mode and its configuration.

    Raises:
        UserError: a file that is no encoder, or whose tensors do not fit its configuration.
    """
    config = read_config(path)
    return read_tensors(path, config.network.video, config.network.width), config
