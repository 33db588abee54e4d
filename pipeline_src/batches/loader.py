"""Batches of training windows: which clips a step sees derives from the seed and the step alone.

So results do not depend on the number of reading processes, and a run resumes at any step.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from pipeline_src.batches.clip_reader import ClipReader
from pipeline_src.batches.views import View, moment
from pipeline_src.batches.windows import last_start, shifted_start
from pipeline_src.settings.learning import WindowSettings
from pipeline_src.shards.index import Collection

Batch = dict[str, Tensor]
Place = tuple[int, int, int]


class TrainingWindows(Dataset[dict[str, Any]]):
    """Random windows; an item is named by (step, position in the batch, clip).

    Args:
        collection: the clips.
        window: their windows.
        views: what the loss reads; decides which moments of which modalities are read from disk.
        seed: of the windows' places.
        rows: clips to use; None for all.
    """

    def __init__(
        self,
        collection: Collection,
        window: WindowSettings,
        views: tuple[View, ...],
        seed: int,
        rows: np.ndarray | None = None,
    ) -> None:
        self.reader = ClipReader(collection, window)
        self.rows = np.arange(len(self.reader)) if rows is None else np.asarray(rows)
        self._window = window
        self._streams = sorted({(view.modality, moment(view)) for view in views})
        self._seed = seed

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: Place) -> dict[str, Any]:
        step, position, clip = place
        random = np.random.default_rng([self._seed, step, position])
        window, length = self._window, self.reader.lengths[clip]
        # Room for the next frames is left whether or not a term reads them: else a future term would move all windows.
        start = int(random.integers(last_start(length, window.frames, window.future_frames) + 1))
        corner = (
            int(random.integers(self.reader.height - window.crop + 1)),
            int(random.integers(self.reader.width - window.crop + 1)),
        )
        mirrored = bool(random.integers(2)) and window.flip
        shifted = shifted_start(length, start, window.frames, random)
        item: dict[str, Any] = {
            "clip": clip,
            "shiftable": shifted is not None,
            "has_sound": self.reader.has_sound(clip),
        }
        for modality, when in self._streams:
            begin, frames = {
                "now": (start, window.frames),
                "next": (start + window.frames, window.future_frames),
                "shifted": (start if shifted is None else shifted, window.frames),
            }[when]
            item[f"{modality}.{when}"] = self.reader.read(modality, clip, begin, frames, corner, mirrored)
        return item


class StepSampler:
    """Yields the items of each step from `first_step` on: passes over all clips in orders drawn from the seed."""

    def __init__(self, rows: np.ndarray, batch_size: int, seed: int, first_step: int, steps: int) -> None:
        self._rows, self._batch, self._seed = rows, batch_size, seed
        self._first, self._steps = first_step, steps

    def __len__(self) -> int:
        return max(self._steps - self._first, 0)

    def __iter__(self) -> Iterator[list[Place]]:
        epoch, order = -1, self._rows
        for step in range(self._first, self._steps):
            places = []
            for position in range(self._batch):
                count = step * self._batch + position
                if count // len(self._rows) != epoch:
                    epoch = count // len(self._rows)
                    order = np.random.default_rng([self._seed, epoch]).permutation(self._rows)
                places.append((step, position, int(order[count % len(self._rows)])))
            yield places


def training_batches(
    windows: TrainingWindows, batch_size: int, seed: int, first_step: int, steps: int, workers: int, pinned: bool
) -> DataLoader[Any]:
    """A loader of the batches of steps [first_step, steps): stored values, uint8 (N, T, H, W, C) per stream."""
    return DataLoader(
        windows,
        batch_sampler=StepSampler(windows.rows, batch_size, seed, first_step, steps),
        num_workers=workers,
        collate_fn=collate,
        pin_memory=pinned,
        # HDF5 handles must not cross a fork, and forked torch threads deadlock.
        multiprocessing_context="forkserver" if workers else None,
    )


def collate(items: list[dict[str, Any]]) -> Batch:
    """Stack items: arrays to tensors, flags to boolean tensors."""
    return {key: torch.as_tensor(np.stack([np.asarray(item[key]) for item in items])) for key in items[0]}
