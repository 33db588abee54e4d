"""Pictures come back alike whatever their codec: nothing is lost, or what JPEG's quality allows."""

import hashlib
import importlib.util
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from pipeline_src.clips.decode import DecodeTask, decode_all
from pipeline_src.errors import UserError
from pipeline_src.settings.clips import DecodeSettings
from pipeline_src.shards import jpeg
from pipeline_src.shards.format import Codec, moments
from pipeline_src.shards.reader import ShardReader
from pipeline_src.shards.writer import ShardWriter
from tests.tiny_run import ROOT

REAL = ROOT.parent / "shared" / "data" / "real"


def digest(reader: ShardReader) -> str:
    return hashlib.sha256(b"".join(reader.read(row).tobytes() for row in range(len(reader.clip_ids)))).hexdigest()


def pictures(frames: int = 20, size: tuple[int, int] = (32, 48)) -> np.ndarray:
    """Colours that change smoothly over place and time."""
    t, y, x = np.meshgrid(np.arange(frames), np.arange(size[0]), np.arange(size[1]), indexing="ij")
    waves = [np.sin(x / 9 + t / 3), np.sin(y / 7 - t / 5), np.sin((x + y) / 11 + t / 4)]
    return np.stack([128 + 90 * wave for wave in waves], -1).astype(np.uint8)


def write_pictures(path: Path, arrays: list[np.ndarray], codec: Codec = "jpeg", **further: Any) -> Path:
    shape = arrays[0].shape[1:]
    with ShardWriter(path, modality="frames", item_shape=shape, dtype=np.uint8, codec=codec, **further) as shard:
        for row, array in enumerate(arrays):
            shard.add(f"clip-{row}", array)
    return path


@pytest.mark.parametrize("codec", ["raw", "lzf", "gzip"])
def test_lossless_codecs_lose_nothing_and_are_read_alike(tmp_path, codec):
    arrays = [pictures(7), pictures(0), pictures(20)[::-1]]
    reader = ShardReader(write_pictures(tmp_path / "a.h5", arrays, codec))
    for row, array in enumerate(arrays):
        np.testing.assert_array_equal(reader.read(row), array)
    assert reader.attributes["codec"] == codec


def test_jpeg_is_invisible_to_readers(tmp_path):
    arrays = [pictures(7), pictures(0), pictures(20)[::-1]]
    reader = ShardReader(write_pictures(tmp_path / "a.h5", arrays))
    assert reader.item_shape == (32, 48, 3)
    assert reader.lengths.tolist() == [7, 0, 20]
    for row, array in enumerate(arrays):
        whole = reader.read(row)
        assert (whole.shape, whole.dtype, whole.flags.writeable) == (array.shape, np.uint8, True)
        assert np.abs(whole.astype(int) - array).sum() <= 2 * array.size
    np.testing.assert_array_equal(reader.read(2, 3, 9), reader.read(2)[3:9])
    assert reader.read(2, 20, 20).shape == (0, 32, 48, 3)
    with pytest.raises(IndexError, match="20 steps"):
        reader.read(2, 0, 21)


def test_moments_of_jpeg_are_nearly_those_of_the_pixels_that_are_read(tmp_path):
    reader = ShardReader(write_pictures(tmp_path / "a.h5", [pictures()]))
    assert reader.moments.tolist() == moments(pictures(), 3).tolist()
    np.testing.assert_allclose(reader.moments, moments(reader.read(0), 3), rtol=2e-3)


def test_a_higher_quality_keeps_more_and_takes_more(tmp_path):
    errors, sizes = [], []
    for quality in (50, 75, 95):
        path = write_pictures(tmp_path / f"{quality}.h5", [pictures()], jpeg_quality=quality)
        errors.append(np.square(ShardReader(path).read(0).astype(float) - pictures()).mean())
        sizes.append(path.stat().st_size)
    assert errors == sorted(errors, reverse=True)
    assert sizes == sorted(sizes)
    assert ShardReader(path).attributes["jpeg_quality"] == 95


@pytest.mark.skipif(not REAL.is_dir(), reason="needs shared/data/real beside the checkout")
def test_real_clips_take_an_eighth_of_their_pixels_at_38_decibel(tmp_path):
    """What the default quality promises."""
    settings = DecodeSettings()
    videos = sorted((REAL / "actions").glob("*/*.mp4"))[::6]
    tasks = [DecodeTask(str(path), 0.0, None) for path in videos]
    clips = [found.frames for found in decode_all(tasks, settings, 2, with_sound=False)]
    path = write_pictures(tmp_path / "a.h5", clips, settings.codec, jpeg_quality=settings.jpeg_quality)
    reader = ShardReader(path)
    errors = [np.square(clip.astype(float) - reader.read(row)).mean((1, 2, 3)) for row, clip in enumerate(clips)]
    assert path.stat().st_size <= sum(clip.nbytes for clip in clips) / 8
    assert np.mean(10 * np.log10(255**2 / np.maximum(np.concatenate(errors), 1e-3))) >= 38


def test_every_decoder_gives_the_same_pixels(tmp_path, monkeypatch):
    """Results must not depend on which of them a machine has."""
    noise = np.random.default_rng(0).integers(0, 256, (4, 32, 48, 3), dtype=np.uint8)
    path, found = write_pictures(tmp_path / "a.h5", [pictures(), noise]), {}
    for module, decoder in jpeg.DECODERS.items():
        if importlib.util.find_spec(module):
            monkeypatch.setattr(jpeg, "_decoder", lambda decoder=decoder: decoder)
            found[module] = digest(ShardReader(path))
    assert "PIL" in found
    assert len(set(found.values())) == 1


def test_without_simplejpeg_and_opencv_shards_are_read_all_the_same(tmp_path, monkeypatch):
    path = write_pictures(tmp_path / "a.h5", [pictures()])
    expected = digest(ShardReader(path))
    for module in ("simplejpeg", "cv2"):
        monkeypatch.setitem(sys.modules, module, None)
    jpeg._decoder.cache_clear()
    assert jpeg._decoder() is jpeg.DECODERS["PIL"]
    assert digest(ShardReader(path)) == expected
    jpeg._decoder.cache_clear()


@pytest.mark.parametrize("quality", [50, 89, 100])
def test_every_encoder_makes_the_same_file(quality):
    """Else an exported encoder would see other frames where only Pillow is installed than it was trained on."""
    noise = np.random.default_rng(0).integers(0, 256, (49, 66, 3), dtype=np.uint8)
    for picture in (noise, pictures(1, (48, 64))[0]):
        assert len({encode(picture, quality) for encode in jpeg.ENCODERS.values()}) == 1


@pytest.mark.parametrize("module", list(jpeg.DECODERS))
def test_a_broken_picture_is_told_by_every_decoder(tmp_path, monkeypatch, module):
    pytest.importorskip(module)
    monkeypatch.setattr(jpeg, "_decoder", lambda: jpeg.DECODERS[module])
    path = write_pictures(tmp_path / "a.h5", [pictures(2)])
    with h5py.File(path, "r+") as file:
        file["data"][:100] = 0
    with pytest.raises(UserError, match=r"a\.h5: damaged \(.*verify_shards"):
        ShardReader(path).read(0)
    with pytest.raises(ValueError, match=r"picture|buffer|size"):
        jpeg.decode(jpeg.encode(pictures(1)[0], 88), np.empty((16, 48, 3), np.uint8))


def test_jpeg_takes_pictures_in_rgb_only(tmp_path):
    for shape, dtype in (((6, 4, 2), np.uint8), ((), np.uint8), ((6, 4, 3), np.float32)):
        with pytest.raises(ValueError, match=r"jpeg: .* allowed: uint8"):
            ShardWriter(tmp_path / "a.h5", modality="frames", item_shape=shape, dtype=dtype, codec="jpeg")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("codec", ["jpeg", "raw", "lzf", "gzip"])
def test_the_same_pictures_give_the_same_bytes_and_hash(tmp_path, codec):
    paths = [write_pictures(tmp_path / name, [pictures(), pictures(3)], codec) for name in ("a.h5", "b.h5")]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    reader = ShardReader(paths[0])
    assert reader.content_hash() == reader.attributes["content_hash"]


@pytest.mark.parametrize("codec", ["jpeg", "lzf"])
def test_the_hash_covers_all_that_a_reader_returns(tmp_path, codec):
    """A changed scale or offset spoils results as much as a changed pixel."""
    further = {"frame_rate": 12.0, "units": "8-bit RGB", "list": [1, 2]}
    path = write_pictures(tmp_path / "a.h5", [pictures(3), pictures(4)], codec, attributes=further)
    before = ShardReader(path).content_hash()

    def changed(change: Callable[[h5py.File], object]) -> str:
        copy = Path(shutil.copy(path, tmp_path / "b.h5"))
        with h5py.File(copy, "r+") as file:
            change(file)
        reader = ShardReader(copy)
        found = reader.content_hash()
        reader.close()
        return found

    changes: list[Callable[[h5py.File], object]] = [
        lambda file: file["data"].write_direct(np.zeros_like(file["data"][:1]), dest_sel=np.s_[:1]),
        lambda file: file["offsets"].__setitem__(1, 2),
        lambda file: file["clip_ids"].__setitem__(0, "clip-9"),
        lambda file: file["moments"].__setitem__((0, 0), 5.0),
        lambda file: file.attrs.__setitem__("frame_rate", 12.5),
        lambda file: file.attrs.__setitem__("frame_rate", np.float32(12)),
        lambda file: file.attrs.__setitem__("units", "8-bit BGR"),
        lambda file: file.attrs.__setitem__("list", [2, 1]),
        lambda file: file.attrs.__setitem__("new", 1),
    ]
    found = [changed(change) for change in changes]
    assert len({before, *found}) == len(changes) + 1
    assert changed(lambda file: None) == before
    assert changed(lambda file: file.attrs.__setitem__("content_hash", "0")) == before
