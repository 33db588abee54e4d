"""Reading a shard."""

import hashlib
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from pipeline_src.errors import UserError
from pipeline_src.shards import jpeg
from pipeline_src.shards.format import DAMAGE, FORMAT_VERSION, hash_description

BLOCK_BYTES = 8 << 20


class ShardReader:
    """Reads one shard. The file is opened at the first read of each process, so readers may go to workers.

    Attributes:
        clip_ids: clips in plan order.
        item_shape: shape of one time step.
        lengths: (clips,) time steps of each; 0 where the clip has nothing here.
        moments: (3, channels) count, sum, sum of squares of all values, per channel of pictures.
        attributes: the shard's attributes.

    Raises:
        UserError: a file that is no shard of this format, or a damaged one.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._file: h5py.File | None = None
        self._data: h5py.Dataset | None = None
        self._process = 0
        with self._damage_told(), self._open() as file:
            self.attributes: dict[str, Any] = dict(file.attrs)
            self._offsets = file["offsets"][:]
            self.clip_ids: list[str] = [name.decode() for name in file["clip_ids"][:]]
            self.moments: np.ndarray = file["moments"][:]
            self._files: np.ndarray | None = None
            self._checksums = np.empty(0, np.uint32)
            self.item_shape: tuple[int, ...] = file["data"].shape[1:]
            if self.attributes["codec"] == "jpeg":
                self._files = file["files"][:]
                self._checksums = file["crc32"][:]
                self.item_shape = tuple(self.attributes["item_shape"].tolist())
            steps = len(file["data"] if self._files is None else self._files[1:])
            _check_ascending(self._offsets, len(self.clip_ids), steps)
            if self._files is not None:
                _check_ascending(self._files, steps, len(file["data"]))
                if self._checksums.shape != (steps,):
                    raise ValueError("checksums do not fit the data")
        self.lengths: np.ndarray = np.diff(self._offsets)

    def read(self, row: int, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Time steps [start, stop) of clip `row`, shape (stop - start, *item_shape), whatever the codec.

        Raises:
            IndexError: steps that the clip does not have.
            UserError: a damaged file.
        """
        stop = int(self.lengths[row]) if stop is None else stop
        if not 0 <= start <= stop <= self.lengths[row]:
            raise IndexError(f"{self.path}: [{start}, {stop}) of a clip with {self.lengths[row]} steps")
        if self._files is not None:
            return self.read_at(row, np.arange(start, stop))
        first = int(self._offsets[row])
        with self._damage_told():
            return self._dataset()[first + start : first + stop]

    def read_at(self, row: int, steps: np.ndarray) -> np.ndarray:
        """Time steps of clip `row` in any order, repeated or not, shape (len(steps), *item_shape).

        Of pictures in files only those named are decoded, each once.

        Raises:
            IndexError: steps that the clip does not have.
            UserError: a damaged file.
        """
        if len(steps) == 0:
            return np.empty((0, *self.item_shape), np.uint8)
        low, high = int(steps.min()), int(steps.max()) + 1
        if low < 0 or high > self.lengths[row]:
            raise IndexError(f"{self.path}: steps {low} to {high - 1} of a clip with {self.lengths[row]}")
        if self._files is None:
            return self.read(row, low, high)[steps - low]
        first = int(self._offsets[row])
        distinct, places = np.unique(steps, return_inverse=True)
        with self._damage_told():
            files = self._files[first + low : first + high + 1]
            stored = memoryview(self._dataset()[files[0] : files[-1]])
            pictures = np.empty((len(distinct), *self.item_shape), np.uint8)
            ends = (files - files[0]).tolist()
            for picture, step in zip(pictures, (distinct - low).tolist(), strict=True):
                one = stored[ends[step] : ends[step + 1]]
                if zlib.crc32(one) != self._checksums[first + low + step]:
                    raise ValueError(f"picture {low + step} of {self.clip_ids[row]} is not the one that was written")
                jpeg.decode(one, picture)
        return pictures if len(distinct) == len(steps) and (np.diff(steps) > 0).all() else pictures[places]

    def content_hash(self, progress: Callable[[int], object] = lambda read: None) -> str:
        """The hash recomputed from all that the file holds; attributes["content_hash"] where nothing is damaged.

        Reads a few megabytes at a time.

        Args:
            progress: called with the number of bytes read since the last call.

        Raises:
            UserError: a file that cannot be read to its end.
        """
        found = hashlib.blake2b(digest_size=16)
        with self._damage_told():
            data = self._dataset()
            steps = data.chunks[0] * max(1, BLOCK_BYTES // (data.chunks[0] * max(1, data[:1].nbytes)))
            for start in range(0, len(data), steps):
                block = np.ascontiguousarray(data[start : start + steps])
                found.update(block.data)
                progress(block.nbytes)
            hash_description(data.file, found)
        return found.hexdigest()

    def close(self) -> None:
        """Close the file; reading opens it again."""
        if self._file is not None:
            self._file.close()
        self._file = self._data = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_file": None, "_data": None}

    def _dataset(self) -> h5py.Dataset:
        if self._data is None or self._process != os.getpid():
            # A handle inherited through a fork shares its state with the parent's: every process opens one.
            self._file = self._open()
            self._data = self._file["data"]
            self._process = os.getpid()
        return self._data

    @contextmanager
    def _damage_told(self) -> Iterator[None]:
        try:
            yield
        except DAMAGE as error:
            raise UserError(f"{self.path}: damaged ({error}); {self._repair()}") from error

    def _repair(self) -> str:
        return f"python -m pipeline_src.stages.verify_shards {self.path.parent.parent} tells how to repair it"

    def _open(self) -> h5py.File:
        try:
            # Shards never change once they have their name, and some network file systems cannot lock.
            file = h5py.File(self.path, "r", locking=False)
        except FileNotFoundError as error:
            raise UserError(f"{self.path}: missing; {self._repair()}") from error
        except OSError as error:
            raise UserError(f"{self.path}: cannot be read as HDF5 ({error}); {self._repair()}") from error
        if file.attrs.get("format_version") != FORMAT_VERSION:
            found = file.attrs.get("format_version")
            file.close()
            raise UserError(
                f"{self.path}: shard format {found} - this version reads {FORMAT_VERSION}; delete it and run"
                " snakemake again"
            )
        return file


def _check_ascending(offsets: np.ndarray, count: int, end: int) -> None:
    whole = offsets.shape == (count + 1,) and offsets[0] == 0 and offsets[-1] == end
    if not whole or (np.diff(offsets) < 0).any():
        raise ValueError("offsets do not fit the data")
