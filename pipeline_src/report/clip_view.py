"""What a network sees of one clip: frames, flow, grey and spectrogram side by side, as a page or a picture."""

import base64
import io
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib.figure import Figure
from PIL import Image

from pipeline_src.errors import UserError
from pipeline_src.features.optical_flow import pixels
from pipeline_src.shards.index import Collection

FOLDER = Path(__file__).resolve().parent
# Pictures of a contact sheet, and pictures in a row of a page's sprite.
SHEET, COLUMNS = 8, 10
WHEEL = 96
# Percentage of all motion up to which colours become fuller.
FULL = 99.0
NAMES = {"rgb": "RGB", "flow": "flow", "grey": "grey", "audio": "log-mel spectrogram"}


@dataclass(frozen=True)
class ClipView:
    """A piece of a clip as stored.

    Attributes:
        clip_id, label: of the clip.
        first: number of the first frame shown.
        total: frames of the whole clip.
        frame_rate: frames per second.
        pictures: uint8 (T, H, W, 3) by modality; flow in colours, with no motion (white) for the clip's last frame.
        fastest: pixels per frame that the fullest colour stands for; 0 without flow.
        spectrogram: (columns, mels) of the same time; None for a clip without sound or a collection without audio.
        facts: name and value of what the index says of each modality.
    """

    clip_id: str
    label: str
    first: int
    total: int
    frame_rate: float
    pictures: dict[str, np.ndarray]
    fastest: float
    spectrogram: np.ndarray | None
    facts: list[tuple[str, str]]


def read_clip(collection: Collection, clip_id: str, first: int, frames: int) -> ClipView:
    """Read frames [first, first + frames) of a clip, as many of them as there are.

    Raises:
        UserError: no such clip, or no such frame in it.
    """
    found = collection.clips[collection.clips["clip_id"] == clip_id]
    if not len(found):
        names = ", ".join(collection.clips["clip_id"].head(5))
        raise UserError(f"{clip_id}: no usable clip of {collection.folder} - allowed: those of clips.csv, as {names}")
    clip = found.iloc[0]
    total, row = int(clip["frames"]), int(clip["row"])
    if not 0 <= first < total:
        raise UserError(f"--start {first} - allowed: 0 to {total - 1}, the last frame of {clip_id}")
    stop = min(total, first + frames)
    modalities = collection.index["modalities"]
    rate = float(collection.describe("rgb")["attributes"]["frame_rate"])
    pictures, fastest, spectrogram = {}, 0.0, None
    for name in (name for name in NAMES if name in modalities):
        reader = collection.reader(name, clip["shard"])
        if name == "audio":
            hop = float(reader.attributes["hop_s"])
            length = int(reader.lengths[row])
            ends = [min(length, round(frame / rate / hop)) for frame in (first, stop)]
            spectrogram = reader.read(row, *ends).astype(np.float32) if ends[1] > ends[0] else None
        elif name == "flow":
            stored = reader.read(row, first, min(stop, total - 1)) if total > 1 else reader.read(row)
            flow = pixels(stored, float(reader.attributes["scale"]))
            still = np.zeros((stop - first - len(flow), *reader.item_shape), np.float32)
            pictures[name], fastest = flow_colours(np.concatenate([flow, still]))
        else:
            read = reader.read(row, first, stop)
            pictures[name] = np.repeat(read, 3, axis=-1) if read.shape[-1] == 1 else read
    facts = [(NAMES[name], _described(modalities[name])) for name in NAMES if name in modalities]
    return ClipView(clip_id, str(clip["label"]), first, total, rate, pictures, fastest, spectrogram, facts)


def flow_colours(flow: np.ndarray) -> tuple[np.ndarray, float]:
    """Flow in the colour wheel of Baker et al., A Database and Evaluation Methodology for Optical Flow, 2011.

    Args:
        flow: float32 (T, H, W, 2) in pixels per frame.

    Returns:
        uint8 (T, H, W, 3): the direction as hue, the speed as saturation, white for no motion, one scale for all; and
        the speed of the fullest colour, which all faster motion has, too.
    """
    import torch
    from torchvision.utils import flow_to_image

    speed = np.sqrt(np.square(flow).sum(-1, keepdims=True))
    # Single pixels may be far faster than all that moves.
    fastest = float(np.percentile(speed, FULL)) if speed.size else 0.0
    fastest = fastest or float(speed.max(initial=0.0))
    if fastest == 0.0:
        return np.full((*flow.shape[:-1], 3), 255, np.uint8), 0.0
    shown = flow * np.minimum(1, fastest / np.maximum(speed, 1e-9))
    coloured = flow_to_image(torch.from_numpy(shown).permute(0, 3, 1, 2).contiguous())
    return coloured.permute(0, 2, 3, 1).numpy(), fastest


def wheel() -> np.ndarray:
    """The legend of `flow_colours`, uint8 (WHEEL, WHEEL, 3): each direction's colour stands where it points to."""
    place = np.linspace(-1, 1, WHEEL, dtype=np.float32)
    x, y = np.meshgrid(place, place)
    outside = x**2 + y**2 > 1
    flow = np.stack([np.where(outside, 0, x), np.where(outside, 0, y)], axis=-1)
    return flow_colours(flow[None])[0][0]


def write_page(view: ClipView, out: Path) -> None:
    """Write a self-contained page on which the clip plays."""
    environment = Environment(loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined)
    players = [
        {"name": name, "title": _title(view, name), "sprite": _uri(_sprite(pictures))}
        for name, pictures in view.pictures.items()
    ]
    height, width = view.pictures["rgb"].shape[1:3]
    page = environment.get_template("clip.html.jinja").render(
        view=view,
        players=players,
        height=height,
        width=width,
        count=len(view.pictures["rgb"]),
        columns=COLUMNS,
        wheel=_uri(wheel()),
        spectrogram=None if view.spectrogram is None else _uri(_spectrogram(view.spectrogram)),
        play=json.dumps({"count": len(view.pictures["rgb"]), "rate": view.frame_rate, "columns": COLUMNS}),
    )
    out.write_text(page, encoding="utf-8")


def write_sheet(view: ClipView, out: Path) -> None:
    """Write a contact sheet as PNG: up to eight moments, evenly spread, a modality per row."""
    count = len(view.pictures["rgb"])
    chosen = sorted({round(place) for place in np.linspace(0, count - 1, min(SHEET, count))})
    rows = len(view.pictures) + (view.spectrogram is not None)
    figure = Figure(figsize=(1.5 * len(chosen) + 1.3, 1.65 * rows + 0.4), layout="constrained")
    grid = figure.add_gridspec(rows, len(chosen) + 1, width_ratios=[1.5] * len(chosen) + [1.2])
    for line, (name, pictures) in enumerate(view.pictures.items()):
        for column, frame in enumerate(chosen):
            axes = figure.add_subplot(grid[line, column])
            axes.imshow(pictures[frame], interpolation="nearest")
            axes.set(xticks=[], yticks=[])
            if column == 0:
                axes.set_ylabel(NAMES[name])
            if line == 0:
                axes.set_title(f"{view.first + frame}", fontsize=8)
        if name == "flow":
            axes = figure.add_subplot(grid[line, -1])
            axes.imshow(wheel())
            axes.set(xticks=[], yticks=[])
            axes.set_title(f"edge: {view.fastest:.2g} px/frame", fontsize=7)
    if view.spectrogram is not None:
        axes = figure.add_subplot(grid[-1, :-1])
        seconds = [view.first / view.frame_rate, (view.first + count) / view.frame_rate]
        axes.imshow(
            view.spectrogram.T,
            aspect="auto",
            origin="lower",
            extent=(*seconds, 0, view.spectrogram.shape[1]),
            cmap="magma",
        )
        axes.set(xlabel="seconds", ylabel="mel band")
    label = f" ({view.label})" if view.label else ""
    title = f"{view.clip_id}{label}, frames {view.first} to {view.first + count - 1} of {view.total}"
    figure.suptitle(title, fontsize=9, parse_math=False)
    figure.savefig(out, format="png", dpi=110, metadata={"Software": None})


def _title(view: ClipView, name: str) -> str:
    return f"flow, fullest colour {view.fastest:.2g} pixels per frame" if name == "flow" else NAMES[name]


def _described(entry: dict[str, Any]) -> str:
    shape = " x ".join(map(str, entry["item_shape"]))
    attributes = ", ".join(
        f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"
        for key, value in sorted(entry["attributes"].items())
    )
    mean, std = ([f"{value:.3g}" for value in entry[key]] for key in ("mean", "std"))
    return f"{shape} per step; mean {', '.join(mean)}; standard deviation {', '.join(std)}; {attributes}"


def _sprite(pictures: np.ndarray) -> np.ndarray:
    """All pictures in one, COLUMNS in a row."""
    count, height, width = pictures.shape[:3]
    rows = math.ceil(count / COLUMNS)
    sheet = np.zeros((rows * COLUMNS, height, width, 3), np.uint8)
    sheet[:count] = pictures
    return sheet.reshape(rows, COLUMNS, height, width, 3).swapaxes(1, 2).reshape(rows * height, COLUMNS * width, 3)


def _spectrogram(columns: np.ndarray) -> np.ndarray:
    """The spectrogram as a picture: time to the right, pitch upwards."""
    from matplotlib import colormaps

    low, high = float(columns.min()), float(columns.max())
    scaled = (columns.T[::-1] - low) / max(high - low, 1e-6)
    coloured: np.ndarray = (colormaps["magma"](scaled)[..., :3] * 255).astype(np.uint8)
    return coloured


def _uri(picture: np.ndarray) -> str:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
