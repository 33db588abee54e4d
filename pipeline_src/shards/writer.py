"""Writing a shard."""

import errno
import hashlib
import os
import zlib
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Any

import h5py
import numpy as np

from pipeline_src.files import whole_file
from pipeline_src.shards import jpeg
from pipeline_src.shards.format import AXES, FORMAT_VERSION, Codec, PackedClip, hash_description, moments

CHUNK_BYTES = 256 * 1024
JPEG_CHUNK_BYTES = 64 * 1024


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
        self._checksums: list[int] = []
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
                fletcher32=self._codec != "jpeg",
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
        checksums: list[int] = []
        if self._codec == "jpeg":
            files = [jpeg.encode(picture, self._quality) for picture in stored]
            sizes = [len(file) for file in files]
            checksums = [zlib.crc32(file) for file in files]
            stored = np.frombuffer(b"".join(files), np.uint8)
        return PackedClip(len(array), stored, sizes, checksums, sums)

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
            self._checksums += packed.checksums
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
            self._file.create_dataset("crc32", data=np.asarray(self._checksums, np.uint32))
            self._file.attrs.update(item_shape=self._item_shape, jpeg_quality=self._quality)
        hash_description(self._file, self._hash)
        self._file.attrs["content_hash"] = self._hash.hexdigest()
        self._file.flush()

    def _abandon(self) -> None:
        # HDF5 crashes at exit when a full disk keeps it from closing a file: free the file's own space.
        os.truncate(self._part, 0)
        with suppress(OSError, RuntimeError):
            self._file.close()
