"""Exported encoders for tests: untrained networks, whose vectors differ from clip to clip all the same."""

from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from pipeline_src.embedding.export import format_of, write_export
from pipeline_src.networks.encoder import Encoder, build_encoder
from pipeline_src.networks.encoder_file import EncoderConfig, save_encoder
from pipeline_src.settings.clips import DecodeSettings

WINDOWS = 2


def make_encoder(seed: int = 0) -> Encoder:
    """Batch statistics as after training, so that vectors have numbers of about 1."""
    torch.manual_seed(seed)
    encoder = build_encoder("rgb", "small_r3d", width=4)
    pictures = functional.interpolate(torch.randn(8, 3, 4, 6, 6), scale_factor=(1, 4, 4))
    for _ in range(50):
        encoder.train()(pictures)
    return encoder.eval()


def make_config(**changed: Any) -> EncoderConfig:
    values = {
        "network": {"video": "small_r3d", "width": 4},
        "window": {"frames": 4, "crop": 24},
        "frame_rate": 8.0,
        "height": 32,
        "width": 32,
        "mean": (110.0, 120.0, 130.0),
        "std": (60.0, 55.0, 50.0),
        "embedding_size": 32,
    }
    return EncoderConfig.model_validate({**values, **changed})


def make_export(
    folder: Path,
    encoder: Encoder | None = None,
    decode: DecodeSettings | None = None,
    windows: int = WINDOWS,
    **changed: Any,
):
    """Write folder/encoder.safetensors and return folder."""
    config = make_config(**changed)
    folder.mkdir(parents=True, exist_ok=True)
    save_encoder(folder / "model.safetensors", encoder or make_encoder(), config)
    decode = decode or DecodeSettings(frame_rate=config.frame_rate, height=config.height, width=config.width)
    format = format_of(config, decode, windows)
    write_export(folder / "model.safetensors", format, folder / "encoder.safetensors")
    return folder
