"""Where the random sections of a video lie."""

import hashlib
import math
import random

from pipeline_src.clips.outcomes import TooShortError

# Videos of days, such as recorded streams, have more places than anybody asks for.
MOST_SECTIONS = 100_000


def section_starts(duration_s: float, length_s: float, count: int, seed: int, identity: str) -> list[float]:
    """Starts of up to `count` sections of a video at random places that do not overlap.

    As many sections as fit are laid out with random gaps, and a random order says which are taken first: a
    larger `count` keeps the earlier ones, and fewer than `count` come back only where no more fit.

    Returns:
        Starts in seconds, rounded down to the millisecond.
    """
    key = hashlib.sha256(f"{seed}\0{identity}".encode()).digest()
    drawn = random.Random(int.from_bytes(key, "big"))
    fitting = min(int(duration_s / length_s), MOST_SECTIONS)
    slack = duration_s - fitting * length_s
    gaps = sorted(drawn.random() * slack for _ in range(fitting))
    ranks = [drawn.random() for _ in range(fitting)]
    order = sorted(range(fitting), key=ranks.__getitem__)
    return [math.floor((number * length_s + gaps[number]) * 1000) / 1000 for number in order[:count]]


def section_start(duration_s: float, length_s: float | None, number: int, seed: int, identity: str) -> float:
    """Start of section `number`, as section_starts gives it; a video shorter than a section is taken whole, once.

    Raises:
        TooShortError: the video has no room for that many.
    """
    if length_s is None or duration_s < length_s:
        starts = [0.0]
    else:
        starts = section_starts(duration_s, length_s, number + 1, seed, identity)
    if number >= len(starts):
        raise TooShortError(f"{duration_s:.1f} s long, no room for section {number + 1} of {length_s:g} s")
    return starts[number]
