"""How the two objects of a rendered video move: one motion per action class.

Lengths are fractions of the picture's side, times seconds, angles radians. Each class changes one thing over time and
leaves the rest as in every other class. At any single time the objects' sizes, angles, gap and direction have the same
distribution in all classes, because what a class varies starts at a uniform phase and, frozen, is what the others
draw. In all classes the pair travels along a curve of its own, wider than the class's own motion: it blurs the mean
frame alike. It travels as things do that are pushed and then slow down by friction, and so does the camera, in all
classes alike. That gives time an arrow: played backward, things would speed up by themselves and stop dead. A push
makes the pair glow for a while.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

CLASSES = ("translate", "rotate", "zoom", "bounce", "orbit", "swing", "shake", "collide")
IMPACT_CLASSES = ("bounce", "collide")

RADII = (0.09, 0.14)
WIDEST_GAP = 0.14
TRAVEL_REACH = 0.11
PAN_REACH = 0.06
WANDER_FREQUENCY = (0.2, 0.35)
PUSH_FREQUENCY = (1.2, 1.8)
# Share of the time between two pushes in which speed falls to 1 / e of what it was.
FRICTION = 0.4
# What a glow fades to, and the share of the time between two pushes in which it falls to 1 / e.
DIM, FADING = 0.55, 0.3
FREQUENCY = (0.8, 1.25)
AMPLITUDE = (0.07, 0.09)
# A round orbit would be the only motion to blur the mean frame in all directions.
ORBIT_FLATTENING = 0.5
SHAKE_AMPLITUDE = 0.45
SHAKE_FREQUENCY = 3.0
SWING_TILT = 0.5


@dataclass(frozen=True)
class Wander:
    """A slow curve that stays in view however long it runs: a sine along x and one along y.

    Attributes:
        reach: furthest from the middle along x or y.
        frequencies: in hertz, (2,).
        phases: in cycles at time 0, (2,).
        push_frequency: pushes along the curve a second; 0 for a steady pace.
        push_phase: in cycles at time 0.
    """

    reach: float
    frequencies: Array
    phases: Array
    push_frequency: float = 0.0
    push_phase: float = 0.0

    def at(self, times: Array) -> Array:
        """Places at `times` (T,): (T, 2)."""
        if self.push_frequency:
            times = _pushed(self.push_frequency * times + self.push_phase) / self.push_frequency
        return self.reach * np.sin(2 * np.pi * (self.frequencies * times[:, None] + self.phases))

    def glow(self, times: Array) -> Array:
        """Brightness at `times` (T,) of what is pushed: (T,), 1 at a push; DIM where nothing pushes."""
        since = (
            (self.push_frequency * times + self.push_phase) % 1 if self.push_frequency else np.full_like(times, np.inf)
        )
        return np.asarray(DIM + (1 - DIM) * np.exp(-since / FADING))


@dataclass(frozen=True)
class Motion:
    """All that fixes how a video's two objects and its camera move.

    Attributes:
        name: the action class.
        seconds: length of the video.
        bearing: direction from the first object to the second.
        heading: direction of the class's own motion.
        travel: of the middle of the pair, from the picture's centre.
        pan: of the background, which is the camera's motion reversed.
        amplitude: of the class's own motion.
        frequency: of the class's own motion, in hertz.
        phase: of the class's own motion at time 0, in cycles.
        gap_phase, radius_phases, angles: gap, sizes and angles where the class does not vary them.
        senses: -1 or 1 per object, the sense of rotation.
    """

    name: str
    seconds: float
    bearing: float
    heading: float
    travel: Wander
    pan: Wander
    amplitude: float
    frequency: float
    phase: float
    gap_phase: float
    radius_phases: Array
    angles: Array
    senses: Array


@dataclass(frozen=True)
class Track:
    """Where the two objects are: centres (2, T, 2) as x, y from the picture's centre, angles and radii (2, T)."""

    centres: Array
    angles: Array
    radii: Array


@dataclass
class _Change:
    """What a class changes: the pair's place (T, 2), angles (2, T), phases in cycles of gap (T) and radii (2, T)."""

    place: Array | float = 0.0
    angles: Array | float = 0.0
    gap_phase: Array | float = 0.0
    radius_phases: Array | float = 0.0


def draw_motion(name: str, seconds: float, rng: np.random.Generator) -> Motion:
    """Draw a motion of class `name`. The draws, and so what they give, are the same for all classes."""
    return Motion(
        name=name,
        seconds=seconds,
        bearing=2 * np.pi * rng.random(),
        heading=2 * np.pi * rng.random(),
        travel=_draw_wander(TRAVEL_REACH, rng),
        pan=_draw_wander(PAN_REACH, rng),
        amplitude=rng.uniform(*AMPLITUDE),
        frequency=rng.uniform(*FREQUENCY),
        phase=rng.random(),
        gap_phase=rng.random(),
        radius_phases=rng.random(2),
        angles=2 * np.pi * rng.random(2),
        senses=rng.choice([-1.0, 1.0], 2),
    )


def _draw_wander(reach: float, rng: np.random.Generator) -> Wander:
    return Wander(reach, rng.uniform(*WANDER_FREQUENCY, 2), rng.random(2), rng.uniform(*PUSH_FREQUENCY), rng.random())


def track(motion: Motion, times: Array) -> Track:
    """Centres, angles and radii of the two objects at `times` (T,)."""
    change = _CHANGES[motion.name](motion, motion.frequency * times + motion.phase)
    smallest, largest = np.log(RADII)
    # A triangle wave spends equal time at every size: the frozen sizes are log-uniform, and so are the moving ones.
    waves = _triangle(motion.radius_phases[:, None] + change.radius_phases + np.zeros_like(times))
    radii = np.exp(smallest + (largest - smallest) * waves)
    gap = WIDEST_GAP * np.abs(np.sin(np.pi * (motion.gap_phase + change.gap_phase)))
    # The gap lies between the rims, so touching is touching whatever the sizes are.
    half = (radii.sum(0) + gap) / 2
    pair = motion.travel.at(times) + change.place
    away = half[:, None] * _unit(motion.bearing)
    angles = motion.angles[:, None] + change.angles + np.zeros_like(times)
    return Track(np.stack([pair - away, pair + away]), angles, radii)


def impacts(motion: Motion) -> Array:
    """Times in seconds at which objects hit the floor or each other; empty for classes without impacts."""
    if motion.name not in IMPACT_CLASSES:
        return np.zeros(0)
    # A bounce touches the floor at whole cycles; a collision happens where the sine of the gap is zero.
    phase = motion.phase if motion.name == "bounce" else motion.phase + motion.gap_phase
    cycles = np.arange(np.ceil(phase), motion.frequency * motion.seconds + phase)
    return np.asarray((cycles - phase) / motion.frequency, np.float64)


def _translate(motion: Motion, cycles: Array) -> _Change:
    return _Change()


def _rotate(motion: Motion, cycles: Array) -> _Change:
    return _Change(angles=motion.senses[:, None] * np.pi * cycles)


def _zoom(motion: Motion, cycles: Array) -> _Change:
    return _Change(radius_phases=cycles)


def _bounce(motion: Motion, cycles: Array) -> _Change:
    fraction = cycles % 1
    height = 4 * fraction * (1 - fraction) - 2 / 3
    return _Change(place=2 * motion.amplitude * height[:, None] * _unit(motion.heading))


def _orbit(motion: Motion, cycles: Array) -> _Change:
    turn = motion.senses[0] * 2 * np.pi * cycles[:, None]
    along, across = _unit(motion.heading), _unit(motion.heading + np.pi / 2)
    return _Change(place=motion.amplitude * (np.cos(turn) * along + ORBIT_FLATTENING * np.sin(turn) * across))


def _swing(motion: Motion, cycles: Array) -> _Change:
    wave = np.sin(2 * np.pi * cycles)
    return _Change(place=motion.amplitude * wave[:, None] * _unit(motion.heading), angles=SWING_TILT * wave)


def _shake(motion: Motion, cycles: Array) -> _Change:
    wave = np.sin(2 * np.pi * SHAKE_FREQUENCY * cycles)
    return _Change(place=SHAKE_AMPLITUDE * motion.amplitude * wave[:, None] * _unit(motion.heading))


def _collide(motion: Motion, cycles: Array) -> _Change:
    return _Change(gap_phase=cycles)


_CHANGES: dict[str, Callable[[Motion, Array], _Change]] = {
    "translate": _translate,
    "rotate": _rotate,
    "zoom": _zoom,
    "bounce": _bounce,
    "orbit": _orbit,
    "swing": _swing,
    "shake": _shake,
    "collide": _collide,
}


def _unit(angle: Array | float) -> Array:
    return np.stack([np.cos(angle), np.sin(angle)], -1)


def _pushed(cycles: Array) -> Array:
    """Time as a thing lives it that is pushed at every whole cycle and slows down exponentially until the next."""
    whole = np.floor(cycles)
    return whole + (1 - np.exp(-(cycles - whole) / FRICTION)) / (1 - np.exp(-1 / FRICTION))


def _triangle(cycles: Array) -> Array:
    """A wave from 0 to 1 and back, once per cycle."""
    return 1 - np.abs(2 * (cycles % 1) - 1)
