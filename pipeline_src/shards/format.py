"""HDF5 shards: one modality of many clips in one file, each clip with its true length.

    data     (sum of lengths, *item_shape)   all clips one after the other
    offsets  (clips + 1,) int64              clip i is steps offsets[i] to offsets[i + 1]
    clip_ids (clips,) UTF-8                  in plan order; a failed or missing clip has length 0
    moments  (3, channels) float64           count, sum, sum of squares of all values, per channel of pictures

With codec jpeg, which is for pictures in RGB, step t is the JPEG file data[files[t]:files[t + 1]]:

    data     (bytes,) uint8                  the files of all steps one after the other
    files    (sum of lengths + 1,) int64     where each begins
    item_shape, jpeg_quality                 attributes: (height, width, 3), and 1 to 100

Attributes: format_version, modality, axes (names of the axes of what is read), codec, content_hash, units, and what
the modality needs more (frame_rate, flow's scale, audio's hop). The hash is over data as stored before HDF5's own
compression, and over all other datasets and attributes. Moments, those of pictures before they become JPEG files, and
hash are taken while writing, so that an index over many shards need not read their data.
"""

import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import h5py
import numpy as np

from pipeline_src.errors import UserError
from pipeline_src.files import whole_file
from pipeline_src.shards import jpeg

FORMAT_VERSION = 2
CHUNK_BYTES = 256 * 1024
JPEG_CHUNK_BYTES = 64 * 1024
BLOCK_BYTES = 8 << 20
OWN_ATTRIBUTES = ("format_version", "modality", "axes", "codec", "content_hash", "item_shape")
# What HDF5, h5py, numpy and the decoders raise on damaged content.
DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, OverflowError)
Codec = Literal["jpeg", "lzf", "gzip", "raw"]
AXES = {
    "frames": ("time", "height", "width", "rgb"),
    "flow": ("time", "height", "width", "xy"),
    "grey": ("time", "height", "width", "luma"),
    "audio": ("time", "mel"),
    "sound": ("time",),
}


@dataclass(frozen=True)
class PackedClip:
    """A clip as a shard stores it.

    Attributes:
        length: its time steps.
        stored: the bytes of its JPEG files, else the clip itself.
        sizes: bytes of each JPEG file.
        moments: of its values; those of JPEG files before encoding.
    """

    length: int
    stored: np.ndarray
    sizes: list[int]
    moments: np.ndarray


class ShardWriter:
    """Writes one shard; the file appears when the `with` block ends without an error.

    Args:
        path: the file.
        modality: a key of AXES.
        item_shape: shape of one time step, such as (height, width, 3); () for sound.
        dtype: numpy dtype of the data.
        codec: how the data is stored; jpeg, for uint8 (height, width, 3) only, loses what quality allows.
        jpeg_quality: 1 to 100, for jpeg.
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
        codec: Codec = "lzf",
        jpeg_quality: int = 89,
        attributes: dict[str, Any] | None = None,
    ) -> None:
        if codec == "jpeg" and (np.dtype(dtype) != np.uint8 or item_shape[2:] != (3,)):
            raise ValueError(f"jpeg: {np.dtype(dtype)} {item_shape} - allowed: uint8 (height, width, 3)")
        self._codec = codec
        self._quality = jpeg_quality
        self._files = [0]
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
            stored = () if self._codec == "jpeg" else self._item_shape
            steps = JPEG_CHUNK_BYTES if self._codec == "jpeg" else max(1, min(CHUNK_BYTES // step, 16384))
            self._data = self._file.create_dataset(
                "data",
                shape=(0, *stored),
                maxshape=(None, *stored),
                dtype=self._dtype,
                chunks=(steps, *stored),
                compression=self._codec if self._codec in ("lzf", "gzip") else None,
            )
            on_error.pop_all()
        return self

    def pack(self, array: np.ndarray) -> PackedClip:
        """Make of a clip, shape (T, *item_shape), what `add` stores; any number of threads may do so at a time."""
        if array.shape[1:] != self._item_shape or array.dtype != self._dtype:
            raise ValueError(f"{array.dtype} {array.shape} does not fit {self._dtype} (T, *{self._item_shape})")
        stored = np.ascontiguousarray(array)
        sums = moments(stored, self._moments.shape[1]) if len(array) else np.zeros_like(self._moments)
        sizes: list[int] = []
        if self._codec == "jpeg":
            files = [jpeg.encode(picture, self._quality) for picture in stored]
            sizes = [len(file) for file in files]
            stored = np.frombuffer(b"".join(files), np.uint8)
        return PackedClip(len(array), stored, sizes, sums)

    def add(self, clip_id: str, clip: np.ndarray | PackedClip | None) -> None:
        """Append a clip of shape (T, *item_shape), packed or not; None or T = 0 marks one that has nothing here."""
        packed = self.pack(clip) if isinstance(clip, np.ndarray) else clip
        length = packed.length if packed else 0
        if packed and length:
            start = len(self._data)
            self._data.resize(start + len(packed.stored), axis=0)
            self._data[start:] = packed.stored
            self._moments += packed.moments
            self._hash.update(packed.stored.data)
            for size in packed.sizes:
                self._files.append(self._files[-1] + size)
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
            codec=self._codec,
            **self.attributes,
        )
        if self._codec == "jpeg":
            self._file.create_dataset("files", data=np.asarray(self._files, np.int64))
            self._file.attrs.update(item_shape=self._item_shape, jpeg_quality=self._quality)
        _hash_description(self._file, self._hash)
        self._file.attrs["content_hash"] = self._hash.hexdigest()
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
            self.item_shape: tuple[int, ...] = file["data"].shape[1:]
            if self.attributes["codec"] == "jpeg":
                self._files = file["files"][:]
                self.item_shape = tuple(self.attributes["item_shape"].tolist())
            steps = len(file["data"] if self._files is None else self._files[1:])
            _check_ascending(self._offsets, len(self.clip_ids), steps)
            if self._files is not None:
                _check_ascending(self._files, steps, len(file["data"]))
        self.lengths: np.ndarray = np.diff(self._offsets)

    def read(self, row: int, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Time steps [start, stop) of clip `row`, shape (stop - start, *item_shape), whatever the codec.

        Raises:
            IndexError: steps that the clip does not have.
            UserError: a damaged file.
        """
        length = int(self.lengths[row])
        stop = length if stop is None else stop
        if not 0 <= start <= stop <= length:
            raise IndexError(f"{self.path}: [{start}, {stop}) of a clip with {length} steps")
        first = int(self._offsets[row])
        with self._damage_told():
            if self._files is None:
                return self._dataset()[first + start : first + stop]
            files = self._files[first + start : first + stop + 1]
            stored = memoryview(self._dataset()[files[0] : files[-1]])
            pictures = np.empty((stop - start, *self.item_shape), np.uint8)
            ends = (files - files[0]).tolist()
            for picture, begin, end in zip(pictures, ends[:-1], ends[1:], strict=True):
                jpeg.decode(stored[begin:end], picture)
            return pictures

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
            _hash_description(data.file, found)
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


def _hash_description(file: h5py.File, found: Any) -> None:
    """Add all but the values of `data` and the hash itself to a hash: names, types, shapes and values."""
    data = file["data"]
    parts: dict[str, Any] = {"data": np.asarray([data.dtype.str, str(data.shape)], object)}
    parts.update({name: file[name][:] for name in file if name != "data"})
    parts.update({f"@{name}": value for name, value in file.attrs.items() if name != "content_hash"})
    for name in sorted(parts):
        value = np.asarray(parts[name])
        if value.dtype.kind in "OUS":
            texts = [
                text if isinstance(text, bytes) else str(text).encode(errors="surrogateescape")
                for text in value.ravel().tolist()
            ]
            kind, content = "text", b"".join(b"%d:%s" % (len(text), text) for text in texts)
        else:
            kind, content = value.dtype.str, value.tobytes()
        found.update(f"{name} {kind} {value.shape}\n".encode() + content)


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
