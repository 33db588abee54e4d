"""Write a trained encoder with all that using it needs, apart from this project's settings and shards."""

import json
import os
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import load_file, save

from pipeline_src.embedding.clip_format import ClipFormat, read_format
from pipeline_src.embedding.exported import KEY
from pipeline_src.files import whole_file
from pipeline_src.networks.encoder_file import EncoderConfig
from pipeline_src.settings.clips import DecodeSettings


def format_of(config: EncoderConfig, decode: DecodeSettings, windows: int) -> ClipFormat:
    """How videos become what an encoder sees.

    Args:
        config: the encoder's own.
        decode: settings that its training frames were decoded with.
        windows: per clip.
    """
    return ClipFormat(
        architecture=config.network.video,
        network_width=config.network.width,
        embedding_size=config.embedding_size,
        frame_rate=config.frame_rate,
        height=config.height,
        width=config.width,
        fit=decode.fit,
        codec=decode.codec,
        jpeg_quality=decode.jpeg_quality,
        frames=config.window.frames,
        crop=config.window.crop,
        padding=config.window.padding,
        windows=windows,
        mean=config.mean,
        std=config.std,
        max_duration_s=decode.max_duration_s,
        max_pixels=decode.max_pixels,
        max_bytes=decode.max_bytes,
        max_streams=decode.max_streams,
        timeout_s=decode.timeout_s,
    )


def write_export(encoder: str | os.PathLike[str], format: ClipFormat, out: Path) -> None:
    """Write an encoder.safetensors to another file, and `format` in its metadata beside what they had.

    Raises:
        UserError: nobody could read the export.
    """
    text = format.to_json()
    read_format(text, str(out))
    with safe_open(encoder, framework="pt") as file:
        metadata = dict(file.metadata() or {})
    with whole_file(out) as part:
        part.write_bytes(_with_sorted_header(save(load_file(encoder), metadata={**metadata, KEY: text})))


def _with_sorted_header(file: bytes) -> bytes:
    """A safetensors file whose header is in order: the library writes several entries of metadata in a random one."""
    length = int.from_bytes(file[:8], "little")
    header = json.dumps(json.loads(file[8 : 8 + length]), sort_keys=True, separators=(",", ":")).encode()
    # Tensors begin at a multiple of eight bytes.
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + file[8 + length :]


def described(config: EncoderConfig, format: ClipFormat) -> dict[str, object]:
    """The content of config.json, which is for people: the format, and the run record of the training."""
    return {"input": json.loads(format.to_json()), "provenance": config.provenance}
