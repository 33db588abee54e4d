"""Embeddings: averages over windows, the pool's statistics, and frames that fit the encoder."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline_src.embedding.embed import embed_clips, save_embeddings
from pipeline_src.errors import UserError
from pipeline_src.networks.encoder import Encoder, Features, build_encoder
from pipeline_src.networks.encoder_file import EncoderConfig
from pipeline_src.settings.embedding import EmbedSettings
from pipeline_src.settings.learning import NetworkSettings, WindowSettings
from pipeline_src.shards.index import Collection
from pipeline_src.transfer.split import read_embeddings

CPU = torch.device("cpu")


def config(**changed: object) -> EncoderConfig:
    values = {
        "network": NetworkSettings(video="small_r3d", width=4),
        "window": WindowSettings(frames=4, crop=16),
        "frame_rate": 8.0,
        "height": 20,
        "width": 20,
        "mean": (10.0, 20.0, 30.0),
        "std": (4.0, 5.0, 6.0),
        "embedding_size": 32,
    }
    return EncoderConfig.model_validate({**values, **changed})


def encoder() -> Encoder:
    torch.manual_seed(0)
    return build_encoder("rgb", "small_r3d", width=4).eval()


def test_an_embedding_is_the_average_over_evenly_spread_centre_crops(pool: Collection) -> None:
    found = embed_clips(encoder(), config(), pool, np.array([0, 6]), EmbedSettings(windows=3, batch_size=2), CPU)
    assert found.shape == (2, 32)
    assert found.dtype == np.float32
    frames = pool.reader("rgb", "000000").read(0).astype(np.float32)
    windows = np.stack([frames[start : start + 4, 2:18, 2:18] for start in (0, 8, 16)])
    windows = (windows - np.array([10, 20, 30], np.float32)) / np.array([4, 5, 6], np.float32)
    with torch.inference_mode():
        layers = encoder()(torch.from_numpy(windows).permute(0, 4, 1, 2, 3).contiguous())
    np.testing.assert_allclose(found[0], Features(layers).embedding.mean(0).numpy(), rtol=1e-4, atol=1e-5)


def test_the_batch_size_changes_nothing_but_rounding(pool: Collection) -> None:
    rows = np.arange(8)
    one = embed_clips(encoder(), config(), pool, rows, EmbedSettings(windows=2, batch_size=1), CPU)
    many = embed_clips(encoder(), config(), pool, rows, EmbedSettings(windows=2, batch_size=16), CPU)
    np.testing.assert_allclose(one, many, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("changed", [{"frame_rate": 12.0}, {"height": 24}, {"width": 24}])
def test_an_encoder_of_other_frames_is_refused(pool: Collection, changed: dict[str, object]) -> None:
    with pytest.raises(UserError, match=r"frames have \(rate, height, width\) \(8.0, 20, 20\)"):
        embed_clips(encoder(), config(**changed), pool, np.arange(2), EmbedSettings(), CPU)


def test_saved_embeddings_are_found_by_clip(tmp_path: Path) -> None:
    vectors = np.arange(6, dtype=np.float32).reshape(3, 2)
    save_embeddings(tmp_path / "e.npz", ["a", "b", "c"], vectors)
    np.testing.assert_array_equal(read_embeddings(tmp_path / "e.npz", ["c", "a"]), vectors[[2, 0]])
