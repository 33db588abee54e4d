"""Moments: which frames of a clip a view reads. Numpy only.

    clip     |---------- length ----------------------------------------|
    now               |-- window --|
    next                            |-- future frames --|
    shifted                   |-- window --|      at least half a window away from now
    crop1..4      |-- window --|                  a time of its own each
    speed      | -  -  -  -  -  -  - |            every second frame, or every frame of its middle

Speeds are made of stored frames, not of interpolated ones. A clip too short for the widest span of a moment is not
`usable` for it, whatever the speed that was drawn: else short clips would tell the speed by their padding.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline_src.settings.learning import WindowSettings

PACES = (1, 2, 3, 4)
PLAYBACKS = ("1x", "2x", "4x", "random", "periodic", "warped")
SPEEDS = (2, 1)
# Speed and direction of TransRank's clips.
RANKED = ((1.0, 1), (2.0, 1), (1.0, -1))
SPEED_JITTER = (0.8, 1.2)


@dataclass(frozen=True)
class Moment:
    """The frames of one item's moment.

    Attributes:
        frames: their numbers in the clip, (T,), of several clips one after the other; those from the clip's length on
            are filled by padding.
        usable: whether the clip is long enough for this kind of moment.
        label: what was drawn: the speed, pace or playback, else 0.
    """

    frames: np.ndarray
    usable: bool = True
    label: int = 0


@dataclass(frozen=True)
class Place:
    """Where the window of `now` lies.

    Attributes:
        length: frames of the clip.
        start: first frame of the window.
        shifted: first frame of the shifted window; None where the clip is too short for one.
        window: the windows' sizes.
    """

    length: int
    start: int
    shifted: int | None
    window: WindowSettings

    @property
    def frames(self) -> int:
        """Frames of a window."""
        return self.window.frames

    def anywhere(self, span: int, random: np.random.Generator) -> int:
        """A start for `span` frames, uniform over the clip; 0 where they do not fit."""
        return int(random.integers(max(self.length - span, 0) + 1))


def last_start(length: int, frames: int, after: int) -> int:
    """Last start of a window: with room for `after` more frames and their flow where the clip is long enough."""
    room = length - frames - after - 1
    return room if room >= 0 else max(length - frames, 0)


def place_windows(length: int, window: WindowSettings, random: np.random.Generator) -> Place:
    """Where the window of `now` and that of `shifted`, at least half a window away, lie.

    Both are drawn as a pair and dealt by chance, so that neither start is likelier at any place of the clip: a shifted
    window must not be told by where it lies. Shift and future are provided for whether or not a term reads them, so
    that terms do not move each other's windows.
    """
    starts = last_start(length, window.frames, window.future_frames) + 1
    apart = max(1, window.frames // 2)
    if starts <= apart:
        return Place(length, int(random.integers(starts)), None, window)
    # Ordered pairs of starts with at least that distance: the n-th smallest distance has starts - apart - n of them.
    counts = np.arange(starts - apart, 0, -1)
    distance = apart + int(random.choice(len(counts), p=counts / counts.sum()))
    first = int(random.integers(starts - distance))
    pair = (first, first + distance)
    turn = int(random.integers(2))
    return Place(length, pair[turn], pair[1 - turn], window)


def draw(name: str, place: Place, seed: tuple[int, int, int]) -> Moment:
    """The moment of that name for one item of a batch.

    Args:
        name: a key of MOMENTS.
        place: where the item's window lies.
        seed: (seed, step, position); each moment draws from a generator of its own, so that none moves another.
    """
    return MOMENTS[name](name, place, np.random.default_rng([*seed, zlib.crc32(name.encode())]))


def _now(name: str, place: Place, random: np.random.Generator) -> Moment:
    return Moment(place.start + np.arange(place.frames))


def _next(name: str, place: Place, random: np.random.Generator) -> Moment:
    after = place.window.future_frames
    begin = place.start + place.frames
    # Flow has one step less than the clip has frames.
    return Moment(begin + np.arange(after), usable=begin + after < place.length)


def _shifted(name: str, place: Place, random: np.random.Generator) -> Moment:
    """The shifted window; where the clip is too short for one, the window itself."""
    begin = place.start if place.shifted is None else place.shifted
    return Moment(begin + np.arange(place.frames), usable=place.shifted is not None)


def _crop(name: str, place: Place, random: np.random.Generator) -> Moment:
    return Moment(place.anywhere(place.frames, random) + np.arange(place.frames))


def _keyframe(name: str, place: Place, random: np.random.Generator) -> Moment:
    return Moment(np.array([place.anywhere(1, random)]))


def _speed(name: str, place: Place, random: np.random.Generator) -> Moment:
    label = int(random.integers(len(SPEEDS)))
    moment = _at_speed(place, random, SPEEDS[label], SPEEDS[0])
    return Moment(moment.frames, moment.usable, label)


def _ranked(name: str, place: Place, random: np.random.Generator) -> Moment:
    """TransRank's clips: normal, double and reversed speed, each 0.8 to 1.2 times as fast and at a place of its own."""
    frames, usable = [], True
    for speed, direction in RANKED:
        moment = _at_speed(place, random, speed * random.uniform(*SPEED_JITTER), 2 * SPEED_JITTER[1])
        frames.append(moment.frames[::direction])
        usable = moment.usable
    return Moment(np.concatenate(frames), usable)


def _pace(name: str, place: Place, random: np.random.Generator) -> Moment:
    """pace1 and pace2 have any paces, each its own."""
    label = int(random.integers(len(PACES)))
    moment = _at_speed(place, random, PACES[label], PACES[-1])
    return Moment(moment.frames, moment.usable, label)


def _playback(name: str, place: Place, random: np.random.Generator) -> Moment:
    label = int(random.integers(len(PLAYBACKS)))
    kind, frames = PLAYBACKS[label], place.frames
    steps = np.arange(frames)
    if kind in ("1x", "2x", "4x"):
        order = int(kind[0]) * steps
    elif kind == "random":
        order = shuffled(frames, random)
    elif kind == "periodic":
        order = np.minimum(steps, frames - 1 - steps)
    else:
        # Steps of 1 to 4 frames, never all alike.
        hops = random.integers(1, 5, frames - 1)
        if frames > 2 and len(set(hops.tolist())) == 1:
            hops[0] = hops[0] % 4 + 1
        order = np.concatenate([[0], np.cumsum(hops)])
    moment = _centred(place, random, order, 4 * (frames - 1) + 1)
    return Moment(moment.frames, moment.usable, label)


def shuffled(frames: int, random: np.random.Generator) -> np.ndarray:
    """A random order that is neither the order of time nor its reverse; with two frames the reverse."""
    steps = np.arange(frames)
    while True:
        order = random.permutation(frames)
        if frames == 2:
            return steps[::-1]
        if not (np.array_equal(order, steps) or np.array_equal(order, steps[::-1])):
            return order


def _at_speed(place: Place, random: np.random.Generator, speed: float, widest: float) -> Moment:
    order = np.rint(speed * np.arange(place.frames)).astype(int)
    return _centred(place, random, order, int(np.rint(widest * (place.frames - 1))) + 1)


def _centred(place: Place, random: np.random.Generator, order: np.ndarray, widest: int) -> Moment:
    """Frames in the middle of a part of the clip that is as long as the widest draw takes: no draw lies elsewhere."""
    part = place.anywhere(widest, random)
    begin = part + (widest - int(order.max()) - 1) // 2
    return Moment(begin + order, usable=place.length >= widest)


MOMENTS: dict[str, Callable[[str, Place, np.random.Generator], Moment]] = {
    "now": _now,
    "next": _next,
    "shifted": _shifted,
    **{f"crop{number}": _crop for number in range(1, 5)},
    "keyframe": _keyframe,
    "speed": _speed,
    "ranked": _ranked,
    "pace1": _pace,
    "pace2": _pace,
    "playback": _playback,
}
