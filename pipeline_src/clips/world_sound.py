"""A rendered video's sound: impacts, hums whose pitch and loudness follow speed, and the noise of the place."""

import numpy as np
import numpy.typing as npt

from pipeline_src.clips.world_motion import RADII, Motion, impacts, track

SAMPLE_RATE = 16_000
CONTROL_RATE = 500

LOWEST_PITCH = 220.0
PITCH_PER_SPEED = 5.0
LOUDEST_SPEED = 0.5
IMPACT_SECONDS = 0.12
# A place's noise lies above most of the hums, the higher the brighter the place is: hertz, for the brightness in front.
NOISES = ((0.08, 1500.0), (0.35, 7000.0))
NOISE = 0.02


def make_sound(motion: Motion, brightness: float, rng: np.random.Generator) -> npt.NDArray[np.int16]:
    """The video's mono sound, (round(seconds * SAMPLE_RATE),); `brightness` of the background from 0 to 1."""
    samples = round(motion.seconds * SAMPLE_RATE)
    times = np.arange(samples) / SAMPLE_RATE
    (dark, low), (bright, high) = NOISES
    middle = low * (high / low) ** np.clip((brightness - dark) / (bright - dark), 0, 1)
    sound = 0.004 * rng.standard_normal(samples) + NOISE * _noise_around(middle, samples, rng)
    control, speeds = rim_speeds(motion)
    # Small things sound higher, and things sound higher the faster they move.
    pitches = LOWEST_PITCH * RADII[1] / track(motion, control).radii * (1 + PITCH_PER_SPEED * speeds)
    for pitch, speed in zip(pitches, speeds, strict=True):
        cycles = np.interp(times, control, np.cumsum(pitch) / CONTROL_RATE)
        loudness = np.interp(times, control, 0.02 + 0.13 * np.minimum(speed / LOUDEST_SPEED, 1))
        sound += loudness * np.sin(2 * np.pi * cycles)
    for moment in impacts(motion):
        start = round(moment * SAMPLE_RATE)
        length = min(round(IMPACT_SECONDS * SAMPLE_RATE), samples - start)
        if length > 0:
            after = np.arange(length) / SAMPLE_RATE
            knock = 0.5 * rng.standard_normal(length) + np.sin(2 * np.pi * 140 * after)
            sound[start : start + length] += 0.6 * knock * np.exp(-after / 0.025)
    return np.asarray(np.clip(np.rint(sound * 32767), -32768, 32767), np.int16)


def rim_speeds(motion: Motion) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """How fast each object's rim moves in the picture, rotation and growth included.

    Returns:
        times (C,) in seconds and speeds (2, C) in picture sides per second.
    """
    times = np.arange(int(np.ceil(motion.seconds * CONTROL_RATE)) + 1) / CONTROL_RATE
    tracked = track(motion, times)
    step = 1 / CONTROL_RATE
    centre = np.gradient(tracked.centres, step, axis=1)
    turning = tracked.radii * np.gradient(tracked.angles, step, axis=1)
    growing = np.gradient(tracked.radii, step, axis=1)
    return times, np.sqrt((centre**2).sum(-1) + turning**2 + growing**2)


def _noise_around(middle: float, samples: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Noise of mean square 1 whose spectrum is a bell around `middle` hertz."""
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    octaves = np.log2(np.maximum(np.fft.rfftfreq(samples, 1 / SAMPLE_RATE), 1.0) / middle)
    noise = np.fft.irfft(spectrum * np.exp(-((4 * octaves) ** 2)), samples)
    return np.asarray(noise / max(noise.std(), 1e-12))
