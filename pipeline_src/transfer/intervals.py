"""95 % intervals of top-1, and of the difference of two rows on the same clips.

Two things are luck: which videos are tested on, and how a training went. Clips of a source video are not independent,
so videos are what counts: a delete-one jackknife over them, of both rows together, for they are tested on the same
clips. To it is added the variance between trainings, from splits that several of them gave a result on; a row that
tried several, of which fewer than two can be compared, has no interval. The sum counts twice what trainings and videos
do together: it is rather too large than too small (Owen 2007, The Pigeonhole Bootstrap). Student's t has
Satterthwaite's degrees of freedom. How a split's labelled training clips were drawn is in no interval, nor is training
with a single seed.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
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
    """The mean top-1 over splits, and within a split over its results, taken apart.

    Attributes:
        right: (videos,) what each source video adds to it.
        clips: (videos,) its part of the clips; their sum is 1.
        trainings: independent ones that can be compared: seeds, or entries where several were put together.
        training_variance: of the mean, by the variance between trainings; 0 where one was tried, NaN where several
            were and fewer than two can be compared.
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
    """One row minus another: fractions; p is two-sided, of no difference. Bounds and p are NaN without an interval."""

    difference: float
    low: float
    high: float
    p: float


def accuracy(found: Sequence[Answers], videos: np.ndarray) -> Accuracy:
    """Put results together. Every split weighs alike, and within a split every result.

    Args:
        found: of one row, failed ones too; one or more that did not fail.
        videos: names of source videos, sorted, among them all of `found`.
    """
    right, clips = np.zeros(len(videos)), np.zeros(len(videos))
    several = len({answers.entry for answers in found}) > 1
    known = [answers for answers in found if answers.right is not None]
    on_split = Counter(answers.split for answers in known)
    reached: dict[int, dict[str | int, list[float]]] = {}
    for answers in known:
        assert answers.right is not None
        places = np.searchsorted(videos, answers.videos)
        weight = 1 / (len(on_split) * on_split[answers.split] * len(answers.videos))
        right += weight * np.bincount(places, answers.right, len(videos))
        clips += weight * np.bincount(places, minlength=len(videos))
        training = answers.entry if several else answers.seed
        reached.setdefault(answers.split, {}).setdefault(training, []).append(float(answers.right.mean()))
    if len({answers.entry if several else answers.seed for answers in found}) == 1:
        return Accuracy(right, clips, 1, 0.0)
    return Accuracy(right, clips, *_between_trainings(reached))


def interval(row: Accuracy) -> tuple[float, float]:
    """Of a row's top-1, by Wilson's formula (1927) with as many clips as would give its variance.

    Where all videos agree, so that they show no variance, each counts as a clip. NaN with fewer than FEWEST_VIDEOS,
    or without a variance between trainings.
    """
    videos = np.count_nonzero(row.clips)
    if videos < FEWEST_VIDEOS or np.isnan(row.training_variance):
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
    if videos < FEWEST_VIDEOS or np.isnan(one.training_variance + other.training_variance):
        return Difference(gap, np.nan, np.nan, np.nan)
    clips = (one.clips + other.clips) / 2
    variance, freedom = _variance(one.influence() - other.influence(), clips, [one, other])
    quantile = float(student.ppf(LEVEL, freedom))
    error = np.sqrt(variance) if variance > NOTHING else quantile / (videos + quantile**2)
    low, high = np.clip([gap - quantile * error, gap + quantile * error], -1, 1)
    p = max(2 * student.sf(abs(gap) / error, freedom), 2.0 ** (1 - videos), SMALLEST_P)
    return Difference(gap, float(low), float(high), float(p))


def _between_trainings(reached: Mapping[int, Mapping[str | int, Sequence[float]]]) -> tuple[int, float]:
    """How many can be compared, and what they add to the variance of the mean; of top-1 by split and training."""
    effects: dict[str | int, list[float]] = {}
    weights: dict[str | int, float] = {}
    for found in reached.values():
        means = {training: float(np.mean(top1)) for training, top1 in found.items()}
        # What a split is worth is no difference between the trainings that were tested on it.
        middle, results = float(np.mean(list(means.values()))), sum(map(len, found.values()))
        for training, top1 in found.items():
            weights[training] = weights.get(training, 0.0) + len(top1) / results / len(reached)
            if len(found) > 1:
                effects.setdefault(training, []).append(means[training] - middle)
    if not effects:
        return 0, np.nan
    one = np.var([np.mean(values) for values in effects.values()], ddof=1)
    return len(effects), float(one * np.square(list(weights.values())).sum())


def _variance(influence: np.ndarray, clips: np.ndarray, rows: Sequence[Accuracy]) -> tuple[float, float]:
    """Variance and its degrees of freedom; videos of many clips leave fewer than their number (Kish 1965)."""
    videos = np.count_nonzero(clips)
    parts = [((videos - 1) / videos * np.square(influence).sum(), max(1.0, 1 / np.square(clips).sum() - 1))]
    parts += [(row.training_variance, row.trainings - 1) for row in rows if row.trainings > 1]
    variance = float(sum(part for part, _ in parts))
    if variance <= NOTHING:
        return 0.0, parts[0][1]
    return variance, variance**2 / float(sum(part**2 / freedom for part, freedom in parts))
