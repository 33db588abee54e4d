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


class TimedWindows(Dataset[np.ndarray]):
    """Centre-cropped windows of given frames.

    Args:
        collection: the clips.
        window: crop and padding.
        rows: (M,) row of the collection's clips, of each window.
        times: (M, T) frame numbers of each window.
    """

    def __init__(self, collection: Collection, window: WindowSettings, rows: np.ndarray, times: np.ndarray) -> None:
        self._reader = ClipReader(collection, window)
        self._corner = ((self._reader.height - window.crop) // 2, (self._reader.width - window.crop) // 2)
        self._rows, self._times = rows, times

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, item: int) -> np.ndarray:
        return self._reader.read("rgb", int(self._rows[item]), self._times[item], self._corner, mirrored=False)


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
    windows = even_windows(collection, config.window, rows, settings.windows)
    return (
        embed_windows(encoder, config, windows, settings.batch_size, device)
        .reshape(len(rows), settings.windows, -1)
        .mean(1)
    )


def even_windows(collection: Collection, window: WindowSettings, rows: np.ndarray, count: int) -> TimedWindows:
    """Windows spread evenly over clips: item i is window i % count of clip rows[i // count]."""
    lengths = collection.clips["frames"].to_numpy(np.int64)
    starts = np.array([even_starts(int(lengths[row]), window.frames, count) for row in rows]).reshape(-1, 1)
    return TimedWindows(collection, window, np.repeat(rows, count), starts + np.arange(window.frames))


def embed_windows(
    encoder: Encoder, config: EncoderConfig, windows: Dataset[np.ndarray], batch_size: int, device: torch.device
) -> np.ndarray:
    """Embeddings (windows, embedding_size), float32."""
    loader: DataLoader[np.ndarray] = DataLoader(windows, batch_size=batch_size)
    statistics = {"rgb": (list(config.mean), list(config.std))}
    encoder = encoder.to(device).eval()
    parts = []
    with torch.inference_mode():
        for stored in tqdm(loader, unit="batch", mininterval=5, file=sys.stderr):
            layers = encoder(normalise(stored.to(device), "rgb", statistics))
            parts.append(Features(layers).pooled.float().cpu().numpy())
    return np.concatenate(parts)


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
