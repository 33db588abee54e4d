"""HDF5 shards: one modality of many clips in one file, each clip with its true length.

    data     (sum of lengths, *item_shape)   all clips one after the other
    offsets  (clips + 1,) int64              clip i is data[offsets[i]:offsets[i + 1]]
    clip_ids (clips,) UTF-8                  in plan order; a failed or missing clip has length 0
    moments  (3, channels) float64           count, sum, sum of squares of all values, per channel of pictures

Attributes: format_version, modality, axes (names of data's axes), content_hash (of clip ids, lengths and
data), units, and what the modality needs more (frame_rate, flow's scale, audio's hop). Moments and hash are
taken while writing, so that an index over many shards need not read their data.
"""

import errno
import hashlib
import os
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np

from pipeline_src.errors import UserError
from pipeline_src.files import whole_file

FORMAT_VERSION = 1
CHUNK_BYTES = 256 * 1024
OWN_ATTRIBUTES = ("format_version", "modality", "axes", "content_hash")
AXES = {
    "frames": ("time", "height", "width", "rgb"),
    "flow": ("time", "height", "width", "xy"),
    "grey": ("time", "height", "width", "luma"),
    "audio": ("time", "mel"),
    "sound": ("time",),
}


class ShardWriter:
    """Writes one shard; the file appears when the `with` block ends without an error.

    Args:
        path: the file.
        modality: a key of AXES.
        item_shape: shape of one time step, such as (height, width, 3); () for sound.
        dtype: numpy dtype of the data.
        attributes: further attributes; values are strings, numbers or arrays of numbers.

    Attributes:
        attributes: the further attributes; what the last clip decides may be set until the block ends.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        modality: str,
        item_shape: tuple[int, ...],
        dtype: Any,
        attributes: dict[str, Any] | None = None,
    ) -> None:
        self._whole = whole_file(path)
        self._modality = modality
        self._item_shape = item_shape
        self._dtype = np.dtype(dtype)
        self.attributes: dict[str, Any] = dict(attributes or {})
        self._clip_ids: list[str] = []
        self._offsets = [0]
        self._moments = np.zeros((3, item_shape[-1] if len(item_shape) == 3 else 1))
        self._hash = hashlib.blake2b(digest_size=16)

    def __enter__(self) -> "ShardWriter":
        self._part = self._whole.__enter__()
        step = max(1, int(np.prod(self._item_shape, dtype=np.int64)) * self._dtype.itemsize)
        with ExitStack() as on_error:
            on_error.push(self._whole)
            # Nobody else knows the temporary name, and some network file systems cannot lock.
            self._file = h5py.File(self._part, "w", libver="v110", locking=False)
            self._data = self._file.create_dataset(
                "data",
                shape=(0, *self._item_shape),
                maxshape=(None, *self._item_shape),
                dtype=self._dtype,
                chunks=(max(1, min(CHUNK_BYTES // step, 16384)), *self._item_shape),
                compression="lzf",
            )
            on_error.pop_all()
        return self

    def add(self, clip_id: str, array: np.ndarray | None) -> None:
        """Append a clip of shape (T, *item_shape); None or T = 0 marks a clip that has nothing here."""
        length = 0 if array is None else len(array)
        if array is not None and length:
            if array.shape[1:] != self._item_shape or array.dtype != self._dtype:
                wanted = f"{self._dtype} (T, *{self._item_shape})"
                raise ValueError(f"{clip_id}: {array.dtype} {array.shape} does not fit {wanted}")
            start = self._offsets[-1]
            self._data.resize(start + length, axis=0)
            self._data[start:] = array
            self._moments += moments(array, self._moments.shape[1])
            self._hash.update(np.ascontiguousarray(array).data)
        self._hash.update(f"{clip_id}\n{length}\n".encode())
        self._clip_ids.append(clip_id)
        self._offsets.append(self._offsets[-1] + length)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._abandon()
            self._whole.__exit__(kind, error, trace)
            return
        with ExitStack() as stack:
            stack.push(self._whole)
            try:
                self._finish()
            except BaseException as failed:
                self._abandon()
                if "No space left" in str(failed):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from failed
                raise
            self._file.close()

    def _finish(self) -> None:
        self._file.create_dataset("offsets", data=np.asarray(self._offsets, np.int64))
        self._file.create_dataset("clip_ids", data=np.asarray(self._clip_ids, dtype=object), dtype=h5py.string_dtype())
        self._file.create_dataset("moments", data=self._moments)
        self._file.attrs.update(
            format_version=FORMAT_VERSION,
            modality=self._modality,
            axes=",".join(AXES[self._modality]),
            content_hash=self._hash.hexdigest(),
            **self.attributes,
        )
        self._file.flush()

    def _abandon(self) -> None:
        # HDF5 crashes at exit when a full disk keeps it from closing a file: free the file's own space.
        os.truncate(self._part, 0)
        with suppress(OSError, RuntimeError):
            self._file.close()


class ShardReader:
    """Reads one shard. The file is opened at the first read of each process, so readers may go to workers.

    Attributes:
        clip_ids: clips in plan order.
        item_shape: shape of one time step.
        lengths: (clips,) time steps of each; 0 where the clip has nothing here.
        moments: (3, channels) count, sum, sum of squares of all values, per channel of pictures.
        attributes: the shard's attributes.

    Raises:
        UserError: a file that is no shard of this format.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._file: h5py.File | None = None
        self._data: h5py.Dataset | None = None
        self._process = 0
        with self._open() as file:
            self.attributes: dict[str, Any] = dict(file.attrs)
            self._offsets = file["offsets"][:]
            self.clip_ids: list[str] = [name.decode() for name in file["clip_ids"][:]]
            self.item_shape: tuple[int, ...] = file["data"].shape[1:]
            self.moments: np.ndarray = file["moments"][:]
        self.lengths: np.ndarray = np.diff(self._offsets)

    def read(self, row: int, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Time steps [start, stop) of clip `row`, shape (stop - start, *item_shape)."""
        length = int(self.lengths[row])
        stop = length if stop is None else stop
        if not 0 <= start <= stop <= length:
            raise IndexError(f"{self.path}: [{start}, {stop}) of a clip with {length} steps")
        if self._data is None or self._process != os.getpid():
            # A handle inherited through a fork shares its state with the parent's: every process opens one.
            self._file = self._open()
            self._data = self._file["data"]
            self._process = os.getpid()
        first = int(self._offsets[row])
        return self._data[first + start : first + stop]

    def close(self) -> None:
        """Close the file; reading opens it again."""
        if self._file is not None:
            self._file.close()
        self._file = self._data = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_file": None, "_data": None}

    def _open(self) -> h5py.File:
        try:
            # Shards never change once they have their name, and some network file systems cannot lock.
            file = h5py.File(self.path, "r", locking=False)
        except FileNotFoundError as error:
            raise UserError(f"{self.path}: missing; run snakemake to make it") from error
        except OSError as error:
            raise UserError(f"{self.path}: cannot be read as HDF5; delete it and run snakemake again") from error
        if file.attrs.get("format_version") != FORMAT_VERSION:
            found = file.attrs.get("format_version")
            file.close()
            raise UserError(
                f"{self.path}: shard format {found} - this version reads {FORMAT_VERSION}; delete it and run"
                " snakemake again"
            )
        return file


def moments(array: np.ndarray, channels: int) -> np.ndarray:
    """Count, sum and sum of squares per channel.

    Args:
        array: (..., channels), or of any shape for one channel.

    Returns:
        float64 (3, channels); exact for 8-bit values.
    """
    width = array.size // len(array)
    block = max(1, (1 << 20) // width)
    total, squares = np.zeros(channels), np.zeros(channels)
    for start in range(0, len(array), block):
        rows = array[start : start + block].reshape(-1, width)
        if array.dtype == np.uint8 and len(rows) <= 65536:
            # Sums over time stay below 2^32; this is ten times as fast as converting each value to float.
            wide = rows.astype(np.uint16)
            sums = rows.sum(0, dtype=np.uint32), np.square(wide).sum(0, dtype=np.uint32)
        else:
            values = rows.astype(np.float64)
            sums = values.sum(0), np.square(values).sum(0)
        total += sums[0].reshape(-1, channels).sum(0, dtype=np.float64)
        squares += sums[1].reshape(-1, channels).sum(0, dtype=np.float64)
    return np.stack([np.full(channels, array.size / channels), total, squares])
