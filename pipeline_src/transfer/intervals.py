"""95 % intervals of top-1, and of the difference of two rows on the same clips.

Two things are luck: which videos are tested on, and how a training went. Clips of a source video are not independent,
so videos are what counts: a delete-one jackknife over them, of both rows together, for they are tested on the same
clips. To it is added the variance between trainings. The sum counts twice what trainings and videos do together: it is
rather too large than too small (Owen 2007, The Pigeonhole Bootstrap). Student's t has Satterthwaite's degrees of
freedom. How a split's labelled training clips were drawn is in no interval, nor is training with a single seed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from pipeline_src.transfer.answers import Answers

FEWEST_VIDEOS = 6
"""Below it, a difference that every video shows comes with signs drawn at random in more than 1 of 20 cases."""
SMALLEST_P = 1e-6
NOTHING = 1e-15
LEVEL = 0.975


@dataclass(frozen=True)
class Accuracy:
    """The mean top-1 over results, all of which weigh alike, taken apart.

    Attributes:
        right: (videos,) what each source video adds to it.
        clips: (videos,) its part of the clips; their sum is 1.
        trainings: independent ones: seeds, or entries where several were put together.
        training_variance: of the mean, by the variance between trainings; 0 where there is one.
    """

    right: np.ndarray
    clips: np.ndarray
    trainings: int
    training_variance: float

    @property
    def mean(self) -> float:
        """Top-1, 0 to 1."""
        return float(np.clip(self.right.sum(), 0, 1))

    def influence(self) -> np.ndarray:
        """(videos,) by how much the mean would be lower without each."""
        return (self.right - self.mean * self.clips) / (1 - self.clips)


@dataclass(frozen=True)
class Difference:
    """One row minus another: fractions; p is two-sided, of no difference. NaN with fewer than FEWEST_VIDEOS videos."""

    difference: float
    low: float
    high: float
    p: float


def accuracy(found: Sequence[Answers], videos: np.ndarray) -> Accuracy:
    """Put results together.

    Args:
        found: one or more, none of them failed.
        videos: names of source videos, sorted, among them all of `found`.
    """
    right, clips = np.zeros(len(videos)), np.zeros(len(videos))
    several = len({answers.entry for answers in found}) > 1
    trainings: dict[str | int, list[float]] = {}
    for answers in found:
        assert answers.right is not None
        places, weight = np.searchsorted(videos, answers.videos), 1 / (len(found) * len(answers.videos))
        right += weight * np.bincount(places, answers.right, len(videos))
        clips += weight * np.bincount(places, minlength=len(videos))
        trainings.setdefault(answers.entry if several else answers.seed, []).append(float(answers.right.mean()))
    means = [np.mean(values) for values in trainings.values()]
    variance = float(np.var(means, ddof=1)) / len(means) if len(means) > 1 else 0.0
    return Accuracy(right, clips, len(means), variance)


def interval(row: Accuracy) -> tuple[float, float]:
    """Of a row's top-1, by Wilson's formula (1927) with as many clips as would give its variance.

    Where all videos agree, so that they show no variance, each counts as a clip. NaN with fewer than FEWEST_VIDEOS.
    """
    videos = np.count_nonzero(row.clips)
    if videos < FEWEST_VIDEOS:
        return np.nan, np.nan
    variance, freedom = _variance(row.influence(), row.clips, [row])
    share, quantile = row.mean, float(student.ppf(LEVEL, freedom))
    count = share * (1 - share) / variance if variance > NOTHING else videos
    middle = (share + quantile**2 / (2 * count)) / (1 + quantile**2 / count)
    reach = quantile * np.sqrt(share * (1 - share) / count + quantile**2 / (4 * count**2)) / (1 + quantile**2 / count)
    return max(0.0, float(middle - reach)), min(1.0, float(middle + reach))


def difference(one: Accuracy, other: Accuracy) -> Difference:
    """One minus the other, both over the same list of videos.

    Where all videos show the same difference, so that there is no variance, the interval reaches as far as Wilson's
    for what was seen in none of so many videos. p is never below that of equal signs by chance, 2 ** (1 - videos), nor
    below SMALLEST_P.
    """
    gap, videos = one.mean - other.mean, min(np.count_nonzero(one.clips), np.count_nonzero(other.clips))
    if videos < FEWEST_VIDEOS:
        return Difference(gap, np.nan, np.nan, np.nan)
    clips = (one.clips + other.clips) / 2
    variance, freedom = _variance(one.influence() - other.influence(), clips, [one, other])
    quantile = float(student.ppf(LEVEL, freedom))
    error = np.sqrt(variance) if variance > NOTHING else quantile / (videos + quantile**2)
    low, high = np.clip([gap - quantile * error, gap + quantile * error], -1, 1)
    p = max(2 * student.sf(abs(gap) / error, freedom), 2.0 ** (1 - videos), SMALLEST_P)
    return Difference(gap, float(low), float(high), float(p))


def _variance(influence: np.ndarray, clips: np.ndarray, rows: Sequence[Accuracy]) -> tuple[float, float]:
    """Variance and its degrees of freedom; videos of many clips leave fewer than their number (Kish 1965)."""
    videos = np.count_nonzero(clips)
    parts = [((videos - 1) / videos * np.square(influence).sum(), max(1.0, 1 / np.square(clips).sum() - 1))]
    parts += [(row.training_variance, row.trainings - 1) for row in rows if row.trainings > 1]
    variance = float(sum(part for part, _ in parts))
    if variance <= NOTHING:
        return 0.0, parts[0][1]
    return variance, variance**2 / float(sum(part**2 / freedom for part, freedom in parts))
