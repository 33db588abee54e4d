"""A trained RGB encoder on disk: encoder.safetensors carries its own configuration; config.json is for people."""

import json
import os
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from pipeline_src.errors import UserError
from pipeline_src.files import whole_file
from pipeline_src.networks.encoder import Encoder
from pipeline_src.networks.encoder_tensors import embedding_size, read_tensors
from pipeline_src.settings.base import Settings, describe_error
from pipeline_src.settings.learning import NetworkSettings, WindowSettings

# As decode.fit, whose module would rerun trainings with every change of fetching.
Fit = Literal["crop", "stretch"]
Mean = Annotated[float, Field(ge=0, le=255)]
Deviation = Annotated[float, Field(ge=1e-6, le=255)]


class EncoderConfig(Settings):
    """All that using an encoder needs.

    Attributes:
        network: its architecture.
        window: frames, crop and padding that it was trained with.
        frame_rate: frames per second.
        height, width: of the frames that crops were cut from, in pixels.
        fit: how videos became such frames, as decode.fit; older files do not tell.
        mean, std: of the pool's frames per channel, 0 to 255.
        embedding_size: length of an embedding.
        provenance: the run record of its training.
    """

    network: NetworkSettings
    window: WindowSettings
    frame_rate: float
    height: int
    width: int
    fit: Fit = "crop"
    mean: tuple[Mean, Mean, Mean]
    std: tuple[Deviation, Deviation, Deviation]
    embedding_size: int
    provenance: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _crop_in_frame(self) -> "EncoderConfig":
        if self.window.crop > (shortest := min(self.height, self.width)):
            raise ValueError(f"window.crop: {self.window.crop} - allowed: at most {shortest}, its frames' size")
        return self


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
        UserError: a file that is no encoder, or whose tensors and configuration do not fit each other.
    """
    config = read_config(path)
    encoder = read_tensors(path, config.network.video, config.network.width)
    if config.embedding_size != (size := embedding_size(encoder)):
        raise UserError(
            f"{path}: not an encoder of this project: embedding_size: {config.embedding_size} - allowed: {size}, which"
            " its network gives"
        )
    return encoder, config
