"""HDF5 shards: one modality of many clips in one file, each clip with its true length.

    data     (sum of lengths, *item_shape)   all clips one after the other
    offsets  (clips + 1,) int64              clip i is steps offsets[i] to offsets[i + 1]
    clip_ids (clips,) UTF-8                  in plan order; a failed or missing clip has length 0
    moments  (3, channels) float64           count, sum, sum of squares of all values, per channel of pictures

With codec jpeg, which is for pictures in RGB, step t is the JPEG file data[files[t]:files[t + 1]]:

    data     (bytes,) uint8                  the files of all steps one after the other
    files    (sum of lengths + 1,) int64     where each begins
    crc32    (sum of lengths,) uint32        checksum of each
    item_shape, jpeg_quality                 attributes: (height, width, 3), and 1 to 100

Attributes: format_version, modality, axes (names of the axes of what is read), codec, content_hash, units, and what
the modality needs more (frame_rate, flow's scale, audio's hop). The hash is over data as stored before HDF5's own
compression, and over all other datasets and attributes. Chunks of other codecs than jpeg have HDF5's Fletcher-32
checksum, so that whatever is read is what was written. Moments, those of pictures before they become JPEG files, and
hash are taken while writing, so that an index over many shards need not read their data.
"""

from dataclasses import dataclass
from typing import Any, Literal

import h5py
import numpy as np

FORMAT_VERSION = 3
OWN_ATTRIBUTES = ("format_version", "modality", "axes", "codec", "content_hash", "item_shape")
# What HDF5, h5py, numpy and the decoders raise on damaged content.
DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, OverflowError)
Codec = Literal["jpeg", "lzf", "gzip", "raw"]
FOR_PAIRS = 1 << 20
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
        checksums: CRC-32 of each JPEG file.
        moments: of its values; those of JPEG files before encoding.
    """

    length: int
    stored: np.ndarray
    sizes: list[int]
    checksums: list[int]
    moments: np.ndarray


def hash_description(file: h5py.File, found: Any) -> None:
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
    contiguous = array.flags.c_contiguous
    if array.dtype == np.uint8 and channels <= 2 and array.size >= FOR_PAIRS and not array.size % 2 and contiguous:
        # How often each pair of neighbouring values occurs: both of one channel, or one of each. For many values this
        # takes half of the time.
        pairs = np.bincount(array.reshape(-1).view("<u2"), minlength=1 << 16).reshape(256, 256)
        counts = np.stack([pairs.sum(0), pairs.sum(1)], axis=-1)
        counts = counts if channels == 2 else counts.sum(1, keepdims=True)
        levels = np.arange(256)[:, None]
        return np.stack([counts.sum(0), (counts * levels).sum(0), (counts * levels**2).sum(0)]).astype(np.float64)
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
