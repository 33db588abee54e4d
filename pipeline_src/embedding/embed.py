"""Clips to vectors: the encoder's embeddings of evenly spread windows, averaged."""

import os
import sys

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from pipeline_src.batches.clip_reader import ClipReader
from pipeline_src.batches.normalise import normalise
from pipeline_src.batches.windows import even_starts
from pipeline_src.errors import UserError
from pipeline_src.files import whole_file
from pipeline_src.networks.encoder import Encoder, Features
from pipeline_src.networks.encoder_file import EncoderConfig
from pipeline_src.settings.embedding import EmbedSettings
from pipeline_src.settings.learning import WindowSettings
from pipeline_src.shards.index import Collection


class EvaluationWindows(Dataset[np.ndarray]):
    """Centre-cropped windows spread evenly over clips; item i is window i % windows of clip rows[i // windows].

    Args:
        collection: the clips.
        window: length, crop and padding.
        rows: rows of the collection's clips.
        windows: windows a clip.
    """

    def __init__(self, collection: Collection, window: WindowSettings, rows: np.ndarray, windows: int) -> None:
        self._reader = ClipReader(collection, window)
        self._window, self._rows, self._windows = window, rows, windows

    def __len__(self) -> int:
        return len(self._rows) * self._windows

    def __getitem__(self, item: int) -> np.ndarray:
        clip = int(self._rows[item // self._windows])
        starts = even_starts(self._reader.lengths[clip], self._window.frames, self._windows)
        crop = self._window.crop
        corner = ((self._reader.height - crop) // 2, (self._reader.width - crop) // 2)
        start = starts[item % self._windows]
        return self._reader.read("rgb", clip, start, self._window.frames, corner, mirrored=False)


def embed_clips(
    encoder: Encoder,
    config: EncoderConfig,
    collection: Collection,
    rows: np.ndarray,
    settings: EmbedSettings,
    device: torch.device,
) -> np.ndarray:
    """Embeddings (clips, embedding_size), float32, of rows of a collection.

    Raises:
        UserError: the encoder was trained with other frames than the collection has.
    """
    require_same_frames(config, collection)
    windows = EvaluationWindows(collection, config.window, rows, settings.windows)
    loader: DataLoader[np.ndarray] = DataLoader(windows, batch_size=settings.batch_size)
    statistics = {"rgb": (list(config.mean), list(config.std))}
    encoder = encoder.to(device).eval()
    parts = []
    with torch.inference_mode():
        for stored in tqdm(loader, unit="batch", mininterval=5, file=sys.stderr):
            layers = encoder(normalise(stored.to(device), "rgb", statistics))
            parts.append(Features(layers).embedding.float().cpu().numpy())
    vectors = np.concatenate(parts)
    return vectors.reshape(len(rows), settings.windows, -1).mean(1)


def require_same_frames(config: EncoderConfig, collection: Collection) -> None:
    """Raise UserError when the collection's frames have another rate or size than the encoder's."""
    frames = collection.describe("rgb")
    height, width = frames["item_shape"][:2]
    found = (frames["attributes"]["frame_rate"], height, width)
    wanted = (config.frame_rate, config.height, config.width)
    if found != wanted:
        raise UserError(
            f"{collection.folder}: frames have (rate, height, width) {found} - the encoder was trained with {wanted};"
            " decode the collection with those settings"
        )


def save_embeddings(path: str | os.PathLike[str], clip_ids: list[str], embeddings: np.ndarray) -> None:
    """Write clip_ids and embeddings as .npz."""
    with whole_file(path) as part:
        np.savez(part, clip_ids=np.asarray(clip_ids, dtype=np.str_), embeddings=embeddings)
