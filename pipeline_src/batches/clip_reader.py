"""Windows of every modality of a clip, aligned in time and space, as numpy arrays."""

from dataclasses import replace
from typing import Any

import numpy as np

from pipeline_src.batches.windows import padded, padded_flow
from pipeline_src.settings.learning import WindowSettings
from pipeline_src.shards.index import Collection
from pipeline_src.shards.reader import ShardReader

OPEN_SHARDS = 64


class ClipReader:
    """Reads windows of a collection's clips.

    Args:
        collection: the indexed clips.
        window: length, crop and padding.
    """

    def __init__(self, collection: Collection, window: WindowSettings) -> None:
        self.window = window
        self._collection = replace(collection, clips=collection.clips.iloc[:0])
        # Arrays, since reading processes get copies and a pool may have millions of clips.
        self._shards, self._shard = np.unique(collection.clips["shard"].to_numpy(str), return_inverse=True)
        self._rows = collection.clips["row"].to_numpy(np.int32)
        self.lengths = collection.clips["frames"].to_numpy(np.int32)
        self._readers: dict[tuple[str, str], ShardReader] = {}
        frames = collection.describe("rgb")
        self.height, self.width = frames["item_shape"][:2]
        self._frame_rate = float(frames["attributes"]["frame_rate"])
        self.spectrogram = self._spectrogram_shape() if "audio" in collection.index["modalities"] else None

    def __len__(self) -> int:
        return len(self._rows)

    def has_sound(self, clip: int) -> bool:
        """Whether the clip has a spectrogram."""
        return self.spectrogram is not None and self._reader("audio", clip).lengths[self._rows[clip]] > 0

    def whole(self, modality: str, clip: int, wanted: np.ndarray) -> bool:
        """Whether the clip has all of a window, none of which `padding` fills; audio, where it has any."""
        if modality == "audio":
            length = int(self._reader("audio", clip).lengths[self._rows[clip]])
            return self._columns(int(wanted[0])) + self._columns(len(wanted)) <= length
        # Flow has one step less than the clip has frames.
        return int(wanted.max()) < self.lengths[clip] - (modality == "flow")

    def read(self, modality: str, clip: int, wanted: np.ndarray, corner: tuple[int, int], mirrored: bool) -> np.ndarray:
        """A window as stored: uint8 (T, crop, crop, C), or float16 (columns, mels) for audio.

        Args:
            modality: rgb, flow, grey or audio.
            clip: row of the collection's clips.
            wanted: frame numbers (T,), those beyond the clip's end filled by padding. Audio covers the same time, so
                it takes consecutive frames only.
            corner: top and left of the crop in pixels.
            mirrored: left and right swapped; horizontal flow changes its sign.
        """
        if modality == "audio":
            return self._audio(clip, wanted)
        length = int(self.lengths[clip])
        chosen = (padded_flow if modality == "flow" else padded)(wanted, length, self.window.padding)
        stored = self._stored(modality, clip, chosen)
        top, left = corner
        crop = self.window.crop
        stored = stored[:, top : top + crop, left : left + crop]
        if mirrored:
            stored = stored[:, :, ::-1]
            if modality == "flow":
                stored = np.stack([(256 - stored[..., 0].astype(np.int16)).astype(np.uint8), stored[..., 1]], axis=-1)
        return np.ascontiguousarray(stored)

    def _stored(self, modality: str, clip: int, chosen: np.ndarray) -> np.ndarray:
        reader, row = self._reader(modality, clip), int(self._rows[clip])
        if (chosen >= 0).all():
            return reader.read_at(row, chosen)
        block = np.full((len(chosen), *reader.item_shape), 128, np.uint8)
        block[chosen >= 0] = reader.read_at(row, chosen[chosen >= 0])
        return block

    def _audio(self, clip: int, wanted: np.ndarray) -> np.ndarray:
        assert self.spectrogram is not None
        if (np.diff(wanted) != 1).any():
            raise ValueError("a spectrogram has the clip's own speed: wanted frames must follow each other")
        columns = self._columns(len(wanted))
        reader, row = self._reader("audio", clip), int(self._rows[clip])
        length = int(reader.lengths[row])
        if length == 0:
            return np.zeros((columns, self.spectrogram[1]), np.float16)
        return reader.read_at(
            row, padded(self._columns(int(wanted[0])) + np.arange(columns), length, self.window.padding)
        )

    def _columns(self, frames: int) -> int:
        return round(frames / self._frame_rate / self._hop_s)

    def _spectrogram_shape(self) -> tuple[int, int]:
        audio = self._collection.describe("audio")
        self._hop_s = float(audio["attributes"]["hop_s"])
        return self._columns(self.window.frames), int(audio["item_shape"][0])

    def _reader(self, modality: str, clip: int) -> ShardReader:
        key = (modality, str(self._shards[self._shard[clip]]))
        if key not in self._readers:
            if len(self._readers) >= OPEN_SHARDS:
                self._readers.pop(next(iter(self._readers))).close()
            self._readers[key] = self._collection.reader(*key)
        return self._readers[key]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_readers": {}}
