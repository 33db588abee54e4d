"""How a rendered video looks: random shapes, textures and colours, drawn along a motion's track."""

import colorsys
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from pipeline_src.clips.world_motion import PAN_REACH, Motion, track

Picture = npt.NDArray[np.uint8]

BACKGROUNDS = ("clouds", "stripes", "checks", "dots", "grain", "slope")
SHAPES = ("disc", "square", "triangle", "hexagon", "star", "cross")
SKINS = ("stripes", "checks", "dots", "halves", "clouds")

# Sprites are drawn larger than any object is seen, so that turning and zooming them does not show their pixels.
SPRITE = 64
SPRITE_RADIUS = 28.0
# Share of the light at the top and at the bottom of a picture.
LIGHT = (1.0, 0.55)


@dataclass(frozen=True)
class Look:
    """What a video shows, whatever moves in it.

    Attributes:
        background: kind of background.
        canvas: RGB picture, larger than the frame by the camera's reach.
        sprites: per object a picture (SPRITE, SPRITE, 4), RGB and cover.
    """

    background: str
    canvas: Picture
    sprites: tuple[Picture, ...]


def draw_look(background: str, size: int, rng: np.random.Generator) -> Look:
    """Draw a random look with the given kind of background for frames of `size` pixels."""
    side = size + 2 * (int(np.ceil(PAN_REACH * size)) + 2)
    # Darker than most things: where something moves, it is likely to be bright.
    colours = _colour(rng, (0.05, 0.5), (0.1, 0.4)), _colour(rng, (0.05, 0.5), (0.1, 0.4))
    canvas = _texture(background, side, size * rng.uniform(0.18, 0.35), colours, rng)
    return Look(background, canvas, tuple(_sprite(rng) for _ in range(2)))


def draw_frames(look: Look, motion: Motion, size: int, frame_rate: float) -> Picture:
    """Draw the video, (T, size, size, 3) RGB, T = round(seconds * frame_rate)."""
    times = np.arange(round(motion.seconds * frame_rate)) / frame_rate
    tracked = track(motion, times)
    pan, glow = motion.pan.at(times) * size, motion.travel.glow(times)
    margin = (look.canvas.shape[0] - size) / 2
    # Lit from above: what is up can be seen, whatever lies there.
    light = np.linspace(*LIGHT, size, dtype=np.float32)[:, None, None]
    frames = np.empty((len(times), size, size, 3), np.uint8)
    for index in range(len(times)):
        # A background that moves right shows what lay further left on the canvas.
        shift = np.array([[1, 0, pan[index, 0] - margin], [0, 1, pan[index, 1] - margin]])
        frame = np.asarray(cv2.warpAffine(look.canvas, shift, (size, size), flags=cv2.INTER_LINEAR), np.uint8)
        for number, sprite in enumerate(look.sprites):
            centre = (tracked.centres[number, index] + 0.5) * size - 0.5
            scale = tracked.radii[number, index] * size / SPRITE_RADIUS
            _paste(frame, sprite, centre, tracked.angles[number, index], scale, glow[index])
        frames[index] = frame * light
    return frames


def _paste(
    frame: Picture, sprite: Picture, centre: npt.NDArray[np.float64], angle: float, scale: float, glow: float
) -> None:
    """Draw a sprite, as bright as it glows, into the frame, touching only the pixels around it."""
    reach = SPRITE_RADIUS * scale + 1
    low = np.maximum(np.floor(centre - reach), 0).astype(int)
    high = np.minimum(np.ceil(centre + reach) + 1, frame.shape[0]).astype(int)
    width, height = (int(value) for value in high - low)
    if width <= 0 or height <= 0:
        return
    cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
    middle = (SPRITE - 1) / 2
    matrix = np.array(
        [
            [cosine, -sine, centre[0] - low[0] - (cosine - sine) * middle],
            [sine, cosine, centre[1] - low[1] - (sine + cosine) * middle],
        ]
    )
    seen = cv2.warpAffine(sprite, matrix, (width, height), flags=cv2.INTER_LINEAR)
    mask = seen[..., 3:].astype(np.float32) / 255
    part = frame[low[1] : high[1], low[0] : high[0]]
    part[:] = np.rint(part + mask * (glow * seen[..., :3].astype(np.float32) - part))


def _sprite(rng: np.random.Generator) -> Picture:
    hue = rng.random()
    # Two colours that differ in brightness keep the texture, and so the rotation, visible.
    bright = _colour(rng, (0.3, 1.0), (0.8, 1.0), hue)
    dark = _colour(rng, (0.5, 1.0), (0.25, 0.5), hue + rng.uniform(0.2, 0.8))
    picture = _texture(str(rng.choice(SKINS)), SPRITE, SPRITE * rng.uniform(0.22, 0.34), (bright, dark), rng)
    return np.dstack([picture, _cover(str(rng.choice(SHAPES)))])


def _cover(shape: str) -> Picture:
    """The shape as cover from 0 to 255 with a smooth rim, inside a circle of SPRITE_RADIUS."""
    fine = 4
    mask = np.zeros((SPRITE * fine, SPRITE * fine), np.uint8)
    middle = (SPRITE * fine - 1) / 2
    radius = SPRITE_RADIUS * fine
    if shape == "disc":
        cv2.circle(mask, (round(middle), round(middle)), round(0.92 * radius), 255, -1)
    else:
        cv2.fillPoly(mask, [np.rint(middle + radius * _corners(shape)).astype(np.int32)], (255,))
    return np.asarray(cv2.resize(mask, (SPRITE, SPRITE), interpolation=cv2.INTER_AREA), np.uint8)


def _corners(shape: str) -> npt.NDArray[np.float64]:
    """Corners in the unit circle, (N, 2)."""
    if shape == "cross":
        arm = 0.36
        quarter = np.array([[arm, -0.93], [arm, -arm]])
        turn = np.array([[0, 1], [-1, 0]])
        return np.concatenate([quarter @ np.linalg.matrix_power(turn, quarters) for quarters in range(4)])
    count, inner = {"square": (4, 1.0), "triangle": (3, 1.0), "hexagon": (6, 1.0), "star": (5, 0.55)}[shape]
    angles = np.arange(2 * count) * np.pi / count
    radii = np.where(np.arange(2 * count) % 2 == 0, 1.0, inner)
    keep = slice(None) if shape == "star" else slice(None, None, 2)
    return np.stack([radii * np.cos(angles), radii * np.sin(angles)], -1)[keep]


def _texture(
    kind: str,
    side: int,
    period: float,
    colours: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]],
    rng: np.random.Generator,
) -> Picture:
    """A square RGB picture that mixes two colours; `period` in pixels is the size of its parts."""
    y, x = np.mgrid[:side, :side] - (side - 1) / 2
    angle = 2 * np.pi * rng.random()
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    wave, cross = np.sin(2 * np.pi * along / period), np.sin(2 * np.pi * across / period)
    mix: npt.NDArray[np.float64]
    if kind == "stripes":
        mix = 0.5 + 0.5 * np.clip(3 * wave, -1, 1)
    elif kind == "checks":
        mix = 0.5 + 0.5 * np.clip(5 * wave * cross, -1, 1)
    elif kind == "dots":
        mix = np.clip(0.5 + 2 * (wave + cross - 0.8), 0, 1)
    elif kind == "halves":
        mix = np.clip(0.5 + along / 2, 0, 1)
    elif kind == "slope":
        mix = np.clip(0.5 + along / side + 0.15 * wave, 0, 1)
    elif kind == "grain":
        mix = _noise(side, side / 3, rng)
    else:
        mix = _noise(side, max(side / period, 2.0), rng)
    picture = colours[0] + mix[..., None] * (colours[1] - colours[0])
    if kind != "grain":
        # A little grain everywhere gives optical flow something to hold on to.
        picture = picture + 6 * rng.standard_normal((side, side, 1), np.float32)
    return np.asarray(np.clip(np.rint(picture), 0, 255), np.uint8)


def _noise(side: int, cells: float, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Smooth noise from 0 to 1 with about `cells` cells along a side."""
    count = int(np.ceil(cells)) + 1
    coarse = rng.random((count, count)).astype(np.float32)
    return np.asarray(np.clip(cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC), 0, 1), np.float64)


def _colour(
    rng: np.random.Generator,
    saturation: tuple[float, float],
    value: tuple[float, float],
    hue: float | None = None,
) -> npt.NDArray[np.float64]:
    shade = (rng.random() if hue is None else hue) % 1.0
    return 255 * np.array(colorsys.hsv_to_rgb(shade, rng.uniform(*saturation), rng.uniform(*value)))
