"""What an exported encoder says of itself: its network, and how videos become what it sees. Standard library only."""

import json
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from pipeline_src.errors import UserError
from pipeline_src.settings.export_limits import MOST_PIXELS, RANGES, most_windows

CHOICES = {
    "architecture": ("small_r3d", "r3d_18", "r2plus1d_18", "r3d_50", "r2plus1d_50"),
    "fit": ("crop", "stretch"),
    "codec": ("jpeg", "lzf", "gzip", "raw"),
    "padding": ("loop", "hold"),
}


@dataclass(frozen=True, kw_only=True)
class ClipFormat:
    """An exported encoder's configuration.

    Attributes:
        architecture, network_width: of the network, as for build_encoder.
        embedding_size: length of an embedding.
        frame_rate: frames per second that videos are decoded to.
        height, width: pixels that they are scaled to.
        fit: crop keeps the picture's proportions and cuts its longer side; stretch does not.
        codec, jpeg_quality: how training frames were stored: with jpeg, frames take the same losses before use.
        frames: in a window.
        crop: height and width in pixels cut from the middle of frames.
        padding: loop or hold, how clips shorter than a window are filled.
        windows: spread evenly over a clip; its embedding is the mean of theirs.
        mean, std: of training frames per channel, 0 to 255.
        max_duration_s, max_pixels, max_bytes, max_streams, timeout_s: limits of decoding.
    """

    architecture: str
    network_width: int
    embedding_size: int
    frame_rate: float
    height: int
    width: int
    fit: Literal["crop", "stretch"]
    codec: str
    jpeg_quality: int
    frames: int
    crop: int
    padding: Literal["loop", "hold"]
    windows: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    max_duration_s: float
    max_pixels: int
    max_bytes: int
    max_streams: int
    timeout_s: float

    def to_json(self) -> str:
        """As text that `read_format` reads."""
        return json.dumps(asdict(self), sort_keys=True)

    def __str__(self) -> str:
        window = f"{self.frames}x{self.crop}x{self.crop} of {self.height}x{self.width} pixels"
        return f"{self.architecture}, {window} at {self.frame_rate:g} frames/s, {self.embedding_size} numbers"


def read_format(text: str, where: str) -> ClipFormat:
    """The configuration in a text that may be anyone's.

    Args:
        text: JSON.
        where: the file that it stands in.

    Raises:
        UserError: a missing, unknown or impossible value.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{where}: not an exported encoder: its configuration is no JSON") from error
    names = {field.name for field in fields(ClipFormat)}
    if not isinstance(found, dict) or set(found) != names:
        wrong = ", ".join(sorted(names ^ set(found))) if isinstance(found, dict) else "no object"
        raise UserError(f"{where}: not an exported encoder of this version: {wrong}; export it again")
    for name, value in found.items():
        _check(name, value, where)
    if found["crop"] > min(found["height"], found["width"]):
        raise UserError(f"{where}: crop {found['crop']} - allowed: at most height and width")
    format = ClipFormat(**{**found, "mean": tuple(found["mean"]), "std": tuple(found["std"])})
    if format.windows > most_windows(format.frames, format.crop):
        what = f"{format.windows} windows of {format.frames}x{format.crop}x{format.crop} pixels"
        raise UserError(f"{where}: {what} - allowed: at most {MOST_PIXELS} pixels together")
    return format


def _check(name: str, value: Any, where: str) -> None:
    if name in CHOICES:
        fine, allowed = value in CHOICES[name], ", ".join(CHOICES[name])
    elif name in RANGES:
        low, high = RANGES[name]
        whole = ClipFormat.__annotations__[name] is int
        fine = type(value) is int or (type(value) is float and not whole)
        fine = fine and low <= value <= high
        allowed = f"{low:g} to {high:g}"
    else:
        low = 0.0 if name == "mean" else 1e-6
        fine = isinstance(value, list) and len(value) == 3
        fine = fine and all(isinstance(part, int | float) and low <= part <= 255 for part in value)
        allowed = f"three numbers of {low:g} to 255"
    if not fine:
        raise UserError(f"{where}: {name} {str(value)[:40]} - allowed: {allowed}")
