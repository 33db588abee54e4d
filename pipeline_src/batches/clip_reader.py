"""Windows of every modality of a clip, aligned in time and space, as numpy arrays."""

from typing import Any

import numpy as np

from pipeline_src.batches.windows import flow_frames, window_frames
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
        self._collection = collection
        self._shards = collection.clips["shard"].tolist()
        self._rows = collection.clips["row"].tolist()
        self.lengths: list[int] = collection.clips["frames"].tolist()
        self._readers: dict[tuple[str, str], ShardReader] = {}
        frames = collection.describe("rgb")
        self.height, self.width = frames["item_shape"][:2]
        self._frame_rate = float(frames["attributes"]["frame_rate"])
        self.spectrogram = self._spectrogram_shape() if "audio" in collection.index["modalities"] else None

    def __len__(self) -> int:
        return len(self._shards)

    def has_sound(self, clip: int) -> bool:
        """Whether the clip has a spectrogram."""
        return self.spectrogram is not None and self._reader("audio", clip).lengths[self._rows[clip]] > 0

    def read(
        self, modality: str, clip: int, start: int, frames: int, corner: tuple[int, int], mirrored: bool
    ) -> np.ndarray:
        """A window as stored: uint8 (frames, crop, crop, C), or float16 (columns, mels) for audio.

        Args:
            modality: rgb, flow, grey or audio.
            clip: row of the collection's clips.
            start: first frame.
            frames: frames of the window; audio covers the same time.
            corner: top and left of the crop in pixels.
            mirrored: left and right swapped; horizontal flow changes its sign.
        """
        if modality == "audio":
            return self._audio(clip, start, frames)
        length = self.lengths[clip]
        chosen = (flow_frames if modality == "flow" else window_frames)(length, start, frames, self.window.padding)
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
        reader, row = self._reader(modality, clip), self._rows[clip]
        real = chosen[chosen >= 0]
        if len(real) == 0:
            return np.full((len(chosen), *reader.item_shape), 128, np.uint8)
        first, last = int(real.min()), int(real.max())
        block = reader.read(row, first, last + 1)[np.maximum(chosen - first, 0)]
        block[chosen < 0] = 128
        return block

    def _audio(self, clip: int, start: int, frames: int) -> np.ndarray:
        assert self.spectrogram is not None
        columns = self._columns(frames)
        reader, row = self._reader("audio", clip), self._rows[clip]
        length = int(reader.lengths[row])
        if length == 0:
            return np.zeros((columns, self.spectrogram[1]), np.float16)
        chosen = window_frames(length, self._columns(start), columns, self.window.padding)
        first = int(chosen.min())
        return reader.read(row, first, int(chosen.max()) + 1)[chosen - first]

    def _columns(self, frames: int) -> int:
        return round(frames / self._frame_rate / self._hop_s)

    def _spectrogram_shape(self) -> tuple[int, int]:
        audio = self._collection.describe("audio")
        self._hop_s = float(audio["attributes"]["hop_s"])
        return self._columns(self.window.frames), int(audio["item_shape"][0])

    def _reader(self, modality: str, clip: int) -> ShardReader:
        key = (modality, self._shards[clip])
        if key not in self._readers:
            if len(self._readers) >= OPEN_SHARDS:
                self._readers.pop(next(iter(self._readers))).close()
            self._readers[key] = self._collection.reader(*key)
        return self._readers[key]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_readers": {}}
