"""Batches of training windows: which clips a step sees derives from the seed and the step alone.

So results do not depend on the number of reading processes, and a run resumes at any step.
"""

import os
import signal
from collections.abc import Iterator
from multiprocessing import parent_process, resource_tracker
from threading import Thread
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from pipeline_src.batches.clip_reader import ClipReader
from pipeline_src.batches.moments import draw, place_windows
from pipeline_src.batches.views import View, moment
from pipeline_src.errors import UserError
from pipeline_src.settings.learning import WindowSettings
from pipeline_src.shards.index import Collection

Batch = dict[str, Tensor]
Item = tuple[int, int, int]
STOP_SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT, signal.SIGHUP)


class TrainingWindows(Dataset[dict[str, Any]]):
    """Random windows; an item is named by (step, position in the whole batch, clip).

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
        self._moments = sorted({name for _, name in self._streams})
        table = collection.clips
        videos = table["source_video"].where(table["source_video"] != "", table["clip_id"])
        self._videos = np.unique(videos.to_numpy(str), return_inverse=True)[1]
        self._classes = np.unique(table["label"].to_numpy(str), return_inverse=True)[1]
        self._seed = seed

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, item: Item) -> dict[str, Any]:
        step, position, clip = item
        random = np.random.default_rng([self._seed, step, position])
        window, length = self._window, int(self.reader.lengths[clip])
        place = place_windows(length, window, random)
        corner = (
            int(random.integers(self.reader.height - window.crop + 1)),
            int(random.integers(self.reader.width - window.crop + 1)),
        )
        mirrored = bool(random.integers(2)) and window.flip
        found: dict[str, Any] = {
            "clip": clip,
            "video": self._videos[clip],
            "class": self._classes[clip],
            "has_sound": self.reader.has_sound(clip),
        }
        moments = {name: draw(name, place, (self._seed, step, position)) for name in self._moments}
        for name, drawn in moments.items():
            found[f"{name}.usable"], found[f"{name}.label"] = drawn.usable, drawn.label
        for modality, name in self._streams:
            wanted = moments[name].frames
            found[f"{modality}.{name}"] = self.reader.read(modality, clip, wanted, corner, mirrored)
            found[f"{modality}.{name}.whole"] = self.reader.whole(modality, clip, wanted)
        return found


class StepSampler:
    """Yields the items of each step from `first` on: passes over all clips in orders drawn from the seed.

    Args:
        rows: the clips.
        batch_size: items of a step, on all processes together.
        seed: of the orders.
        first, steps: which steps, [first, steps).
        share: which of how many processes this is; it gets its part of every step's items.
    """

    def __init__(
        self, rows: np.ndarray, batch_size: int, seed: int, first: int, steps: int, share: tuple[int, int] = (0, 1)
    ) -> None:
        self._rows, self._batch, self._seed = rows, batch_size, seed
        self._first, self._steps, self._share = first, steps, share

    def __len__(self) -> int:
        return max(self._steps - self._first, 0)

    def __iter__(self) -> Iterator[list[Item]]:
        epoch, order = -1, self._rows
        number, of = self._share
        mine = range(number * self._batch // of, (number + 1) * self._batch // of)
        for step in range(self._first, self._steps):
            items = []
            for position in mine:
                count = step * self._batch + position
                if count // len(self._rows) != epoch:
                    epoch = count // len(self._rows)
                    order = np.random.default_rng([self._seed, epoch]).permutation(self._rows)
                items.append((step, position, int(order[count % len(self._rows)])))
            yield items


def training_batches(
    windows: TrainingWindows,
    batch_size: int,
    seed: int,
    first: int,
    steps: int,
    workers: int,
    pinned: bool,
    share: tuple[int, int] = (0, 1),
) -> Iterator[Batch]:
    """The batches of steps [first, steps): stored values, uint8 (N, T, H, W, C) per stream.

    Raises:
        UserError: a shard cannot be read, in whichever process.
    """
    loader = DataLoader(
        windows,
        batch_sampler=StepSampler(windows.rows, batch_size, seed, first, steps, share),
        num_workers=workers,
        collate_fn=collate,
        pin_memory=pinned,
        prefetch_factor=4 if workers else None,
        # HDF5 handles must not cross a fork, and forked torch threads deadlock.
        multiprocessing_context="forkserver" if workers else None,
        worker_init_fn=_leave_with_parent,
    )
    try:
        yield from _started(loader)
    except UserError as error:
        # A reading process's error comes with its traceback; its last line is what was said.
        raise UserError(str(error).strip().rpartition(f"{UserError.__name__}: ")[2]) from None


def _started(loader: DataLoader[Any]) -> Iterator[Batch]:
    """The loader's batches, read by processes that no signal to stop reaches but their parent's.

    A terminal, and torchrun, send it to whole groups of processes; without its readers a training could not end its
    step and save.
    """
    if loader.num_workers == 0:
        return iter(loader)
    # Processes begin with the mask of the one that starts them. Starting the tracker lifts a part of it.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        return iter(loader)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _leave_with_parent(reader: int) -> None:
    """In a reading process: end it when its parent terminates it or is gone, even killed."""
    Thread(target=_wait_for_parent, name=f"parent of reader {reader}", daemon=True).start()


def _wait_for_parent() -> None:
    parent = parent_process()
    while parent is not None and parent.is_alive():
        told = signal.sigtimedwait(STOP_SIGNALS, 2)
        if told is not None and told.si_signo == signal.SIGTERM and told.si_pid == parent.pid:
            break
    os._exit(1)


def collate(items: list[dict[str, Any]]) -> Batch:
    """Stack items: arrays to tensors, flags to boolean tensors."""
    return {key: torch.as_tensor(np.stack([np.asarray(item[key]) for item in items])) for key in items[0]}
