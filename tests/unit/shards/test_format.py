"""Shards keep every clip whole, in order and readable from any process."""

import hashlib
import multiprocessing
import pickle
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from pipeline_src.errors import UserError
from pipeline_src.shards import reader as shard_reader
from pipeline_src.shards import writer as shard_writer
from pipeline_src.shards.format import moments
from pipeline_src.shards.reader import ShardReader
from pipeline_src.shards.writer import ShardWriter
from tests.tiny_run import ROOT

REAL = ROOT.parent / "shared" / "data" / "real"
ITEM = (6, 4, 3)


def clips(seed: int = 0, lengths: tuple[int, ...] = (5, 0, 17, 1)) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, (length, *ITEM)).astype(np.uint8) for length in lengths]


def write(path: Path, arrays: list[np.ndarray], **attributes: object) -> Path:
    with ShardWriter(path, modality="frames", item_shape=ITEM, dtype="uint8", attributes=attributes) as shard:
        for row, array in enumerate(arrays):
            shard.add(f"clip-{row}", array)
    return path


def test_clips_of_different_lengths_come_back_whole_and_in_order(tmp_path):
    arrays = clips()
    reader = ShardReader(write(tmp_path / "a.h5", arrays, frame_rate=12.0))
    assert reader.clip_ids == ["clip-0", "clip-1", "clip-2", "clip-3"]
    assert reader.lengths.tolist() == [5, 0, 17, 1]
    assert reader.item_shape == ITEM
    for row, array in enumerate(arrays):
        np.testing.assert_array_equal(reader.read(row), array)
    assert reader.attributes["frame_rate"] == 12.0
    assert reader.attributes["modality"] == "frames"
    assert reader.attributes["axes"] == "time,height,width,rgb"


def test_a_piece_of_a_clip_is_that_piece_and_never_the_neighbour(tmp_path):
    arrays = clips()
    reader = ShardReader(write(tmp_path / "a.h5", arrays))
    np.testing.assert_array_equal(reader.read(2, 3, 9), arrays[2][3:9])
    assert reader.read(2, 17, 17).shape == (0, *ITEM)
    for start, stop in ((0, 18), (-1, 3), (9, 3)):
        with pytest.raises(IndexError, match="17 steps"):
            reader.read(2, start, stop)


def test_pieces_across_hdf5_chunks_are_exact(tmp_path, monkeypatch):
    monkeypatch.setattr(shard_writer, "CHUNK_BYTES", 4 * int(np.prod(ITEM)))
    arrays = clips(lengths=(3, 23, 7))
    path = write(tmp_path / "a.h5", arrays)
    with h5py.File(path) as file:
        assert file["data"].chunks == (4, *ITEM)
    reader = ShardReader(path)
    for start in range(23):
        np.testing.assert_array_equal(reader.read(1, start, min(start + 6, 23)), arrays[1][start : start + 6])


def test_none_and_empty_arrays_mark_a_clip_without_data(tmp_path):
    with ShardWriter(tmp_path / "a.h5", modality="sound", item_shape=(), dtype="int16") as shard:
        shard.add("none", None)
        shard.add("empty", np.zeros(0, np.int16))
        shard.add("some", np.arange(4, dtype=np.int16))
    reader = ShardReader(tmp_path / "a.h5")
    assert reader.lengths.tolist() == [0, 0, 4]
    assert reader.read(0).shape == (0,)
    assert reader.read(2).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("count", [0, 2])
def test_a_shard_in_which_every_clip_failed_can_be_read(tmp_path, count):
    reader = ShardReader(write(tmp_path / "a.h5", [np.zeros((0, *ITEM), np.uint8)] * count))
    assert len(reader.clip_ids) == count
    assert reader.lengths.sum() == 0
    assert reader.moments.tolist() == [[0, 0, 0]] * 3


@pytest.mark.parametrize("array", [np.zeros((2, 6, 4, 3), np.float32), np.zeros((2, 4, 6, 3), np.uint8)])
def test_an_array_of_another_kind_is_refused_and_leaves_no_file(tmp_path, array):
    with pytest.raises(ValueError, match="does not fit uint8"):
        write(tmp_path / "a.h5", [array])
    assert list(tmp_path.iterdir()) == []


def test_an_error_leaves_the_old_file_and_no_part(tmp_path):
    path = write(tmp_path / "a.h5", clips(0))
    before = path.read_bytes()

    def half() -> None:
        with ShardWriter(path, modality="frames", item_shape=ITEM, dtype="uint8") as shard:
            shard.add("clip-0", clips(1)[0])
            raise KeyError("failed in the middle")

    with pytest.raises(KeyError):
        half()
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_told_in_one_line_and_leaves_nothing(tmp_path, monkeypatch):
    def full(self: ShardWriter) -> None:
        raise RuntimeError("Unable to flush file (errno = 28, error message = 'No space left on device')")

    monkeypatch.setattr(ShardWriter, "_finish", full)
    with pytest.raises(UserError, match=r"a\.h5: no disk space left"):
        write(tmp_path / "a.h5", clips())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("where", ["add", "_finish"])
def test_after_an_error_the_space_is_freed_before_the_file_is_closed(tmp_path, monkeypatch, where):
    """On a full disk HDF5 could not close the file otherwise, and would crash when the program ends."""

    def fail(*arguments: object) -> None:
        raise OSError("failed")

    close, sizes = h5py.File.close, []

    def closing(file: h5py.File) -> None:
        sizes.append(Path(file.filename).stat().st_size)
        close(file)

    monkeypatch.setattr(ShardWriter, where, fail)
    monkeypatch.setattr(h5py.File, "close", closing)
    with pytest.raises(OSError, match="failed"):
        write(tmp_path / "a.h5", clips())
    assert sizes == [0]
    assert list(tmp_path.iterdir()) == []


def test_attributes_set_before_the_end_are_stored(tmp_path):
    with ShardWriter(tmp_path / "a.h5", modality="sound", item_shape=(), dtype="int16") as shard:
        shard.attributes["clipped_fraction"] = 0.25
    assert ShardReader(tmp_path / "a.h5").attributes["clipped_fraction"] == 0.25


def test_the_same_clips_give_the_same_bytes_at_another_time(tmp_path):
    first = write(tmp_path / "a.h5", clips(), frame_rate=12.0)
    time.sleep(1.1)
    second = write(tmp_path / "b.h5", clips(), frame_rate=12.0)
    assert first.read_bytes() == second.read_bytes()


def test_content_hash_tells_apart_data_cuts_and_names(tmp_path):
    one, rest = clips()[2][:5], clips()[2][5:]
    variants = [[one, rest], [rest, one], [np.concatenate([one, rest])], [one, rest, rest[:0]]]
    hashes = {
        str(ShardReader(write(tmp_path / f"{n}.h5", arrays)).attributes["content_hash"])
        for n, arrays in enumerate(variants)
    }
    assert len(hashes) == len(variants)


def test_moments_are_those_of_all_values(tmp_path):
    arrays = clips(lengths=(300, 0, 40))
    values = np.concatenate(arrays).reshape(-1, 3).astype(np.int64)
    expected = [[len(values)] * 3, values.sum(0).tolist(), (values**2).sum(0).tolist()]
    assert ShardReader(write(tmp_path / "a.h5", arrays)).moments.tolist() == expected


def test_moments_of_bright_long_clips_do_not_overflow():
    white = np.full((70_000, 2, 2, 1), 255, np.uint8)
    assert moments(white, 1).ravel().tolist() == [280_000, 280_000 * 255, 280_000 * 255**2]


def test_moments_of_float_and_strided_data():
    values = np.linspace(-14, 6, 50 * 8).astype(np.float16).reshape(50, 8)
    wide = values.astype(np.float64)
    np.testing.assert_allclose(moments(values, 1).ravel(), [400, wide.sum(), np.square(wide).sum()], rtol=1e-12)
    flipped = clips(lengths=(9,))[0][:, :, ::-1]
    expected = flipped.reshape(-1, 3).astype(np.int64).sum(0).tolist()
    assert moments(flipped, 3)[1].tolist() == expected


def digest(reader: ShardReader) -> str:
    return hashlib.sha256(b"".join(reader.read(row).tobytes() for row in range(len(reader.clip_ids)))).hexdigest()


def send(reader: ShardReader, pipe) -> None:
    pipe.send((digest(reader), reader._process))
    pipe.close()


def test_a_reader_that_has_read_can_be_sent_to_another_process(tmp_path):
    reader = ShardReader(write(tmp_path / "a.h5", clips()))
    expected = digest(reader)
    copy = pickle.loads(pickle.dumps(reader))
    assert digest(copy) == expected
    reader.close()
    assert digest(reader) == expected


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork on this system")
def test_a_forked_worker_opens_its_own_handle(tmp_path):
    """A handle shared through a fork can return another clip's data or hang."""
    reader = ShardReader(write(tmp_path / "a.h5", clips()))
    expected = digest(reader)
    context = multiprocessing.get_context("fork")
    parent, child = context.Pipe()
    worker = context.Process(target=send, args=(reader, child))
    worker.start()
    child.close()
    assert parent.poll(20)
    assert parent.recv() == (expected, worker.pid)
    worker.join(20)
    assert worker.exitcode == 0
    assert digest(reader) == expected


def test_a_shard_of_another_format_version_is_named(tmp_path):
    path = write(tmp_path / "a.h5", clips())
    with h5py.File(path, "r+") as file:
        file.attrs["format_version"] = 99
    with pytest.raises(UserError, match=r"a\.h5: shard format 99 - this version reads 3"):
        ShardReader(path)


def test_broken_and_missing_files_are_named_with_what_to_do(tmp_path):
    path = write(tmp_path / "a.h5", clips())
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(UserError, match=r"a\.h5: cannot be read as HDF5 .*verify_shards"):
        ShardReader(path)
    with pytest.raises(UserError, match=r"b\.h5: missing"):
        ShardReader(tmp_path / "b.h5")
    with h5py.File(tmp_path / "c.h5", "w"):
        pass
    with pytest.raises(UserError, match="shard format None"):
        ShardReader(tmp_path / "c.h5")


def test_a_large_shard_is_hashed_in_small_pieces(tmp_path, monkeypatch):
    path = write(tmp_path / "a.h5", clips(lengths=(200, 300)))
    expected = ShardReader(path).content_hash()
    monkeypatch.setattr(shard_writer, "CHUNK_BYTES", 10 * int(np.prod(ITEM)))
    small = write(tmp_path / "b.h5", clips(lengths=(200, 300)))
    monkeypatch.setattr(shard_reader, "BLOCK_BYTES", 1)
    pieces: list[int] = []
    assert ShardReader(small).content_hash(pieces.append) == expected
    assert pieces == [10 * int(np.prod(ITEM))] * 50


@pytest.mark.parametrize("name", ["offsets", "clip_ids", "moments"])
def test_a_shard_that_lacks_a_part_is_told(tmp_path, name):
    path = write(tmp_path / "a.h5", clips())
    with h5py.File(path, "r+") as file:
        del file[name]
    with pytest.raises(UserError, match=r"a\.h5: damaged"):
        ShardReader(path)


def test_offsets_that_do_not_fit_the_data_are_told(tmp_path):
    for change in (0, 4):
        path = write(tmp_path / "a.h5", clips())
        with h5py.File(path, "r+") as file:
            file["offsets"][change] += 1
        with pytest.raises(UserError, match=r"a\.h5: damaged"):
            ShardReader(path)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("length", [1, 18_000])
def test_moments_of_pairs_of_bytes_are_exact(channels, length):
    array = np.random.default_rng(length).integers(0, 256, (length, 6, 5, channels)).astype(np.uint8)
    wide = array.reshape(-1, channels).astype(np.int64)
    assert moments(array, channels).tolist() == [
        [len(wide)] * channels,
        wide.sum(0).tolist(),
        (wide**2).sum(0).tolist(),
    ]
    assert moments(array, channels).tolist() == moments(array.astype(np.float32), channels).tolist()


@pytest.mark.parametrize("codec", ["jpeg", "lzf", "gzip", "raw"])
def test_a_flipped_bit_of_the_data_is_never_read_as_data(tmp_path, codec):
    """Whichever bit: training would not see it else, since most files with another bit are pictures, too."""
    path = tmp_path / "a.h5"
    smooth = [
        np.full((9, 32, 48, 3), 20 * row, np.uint8) + np.arange(9, dtype=np.uint8)[:, None, None, None]
        for row in range(4)
    ]
    with ShardWriter(path, modality="frames", item_shape=(32, 48, 3), dtype="uint8", codec=codec) as shard:
        for row, array in enumerate(smooth):
            shard.add(str(row), array)
    with h5py.File(path) as file:
        chunks = [file["data"].id.get_chunk_info(number) for number in range(file["data"].id.get_num_chunks())]
        used = int(file["files"][-1]) if codec == "jpeg" else None
    places = np.concatenate([np.arange(c.byte_offset, c.byte_offset + (used or c.size)) for c in chunks])
    content, random = path.read_bytes(), np.random.default_rng(0)
    for place in random.choice(places, 150, replace=False):
        flipped = bytearray(content)
        flipped[place] ^= 1 << int(random.integers(8))
        path.write_bytes(flipped)
        reader = ShardReader(path)
        with pytest.raises(UserError, match="damaged"):
            for row in range(len(smooth)):
                reader.read(row)
        reader.close()
