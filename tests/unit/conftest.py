"""A tiny indexed pool whose values say where they come from."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pipeline_src.files import write_json
from pipeline_src.shards.index import Collection, build_index
from pipeline_src.shards.writer import ShardWriter

LENGTHS = (20, 9, 5, 1, 30, 12, 16, 8)
SILENT = (2, 5)
SIZE = 20


def write_pool(folder: Path, lengths: tuple[int, ...] = LENGTHS, silent: tuple[int, ...] = SILENT) -> Collection:
    """Frames hold their own number in red; flow holds 128 + number in x and 128 - number in y; audio its column."""
    names = [f"clip{i}" for i in range(len(lengths))]
    random = np.random.default_rng(0)
    (folder / "plan").mkdir(parents=True)
    (folder / "status" / "decode").mkdir(parents=True)
    rows = [f"{name},{name}.mp4,0,,{name},{name},class{i % 2},train\n" for i, name in enumerate(names)]
    header = "clip_id,path,start_s,duration_s,source_video,content,label,split_1\n"
    (folder / "plan" / "000000.csv").write_text(header + "".join(rows))
    (folder / "status" / "decode" / "000000.csv").write_text(
        "clip_id,status,reason\n" + "".join(f"{name},ok,\n" for name in names)
    )
    write_json(folder / "plan" / "shards.json", {"shards": [{"shard": "000000", "clips": len(names)}]})

    def writer(modality: str, item: tuple[int, ...], dtype: type, **attributes: float) -> ShardWriter:
        path = folder / modality / "000000.h5"
        return ShardWriter(path, modality=modality, item_shape=item, dtype=dtype, attributes=attributes)

    with (
        writer("frames", (SIZE, SIZE, 3), np.uint8, frame_rate=8.0) as frames,
        writer("flow", (SIZE, SIZE, 2), np.uint8, frame_rate=8.0, scale=0.1) as flow,
        writer("grey", (SIZE, SIZE, 1), np.uint8, frame_rate=8.0) as grey,
        writer("audio", (8,), np.float16, hop_s=0.025) as audio,
    ):
        for i, (name, length) in enumerate(zip(names, lengths, strict=True)):
            picture = random.integers(0, 256, (length, SIZE, SIZE, 3), dtype=np.uint8)
            picture[..., 0] = np.arange(length)[:, None, None]
            frames.add(name, picture)
            grey.add(name, picture[..., 1:2])
            moved = np.empty((max(length - 1, 0), SIZE, SIZE, 2), np.uint8)
            moved[..., 0] = 128 + np.arange(len(moved))[:, None, None]
            moved[..., 1] = 128 - np.arange(len(moved))[:, None, None]
            flow.add(name, moved)
            columns = np.repeat(np.arange(length * 5, dtype=np.float16)[:, None], 8, axis=1)
            audio.add(name, None if i in silent else columns)
    modalities = ["rgb", "flow", "grey", "audio"]
    build_index(folder, ["000000"], modalities, folder / "index.json", folder / "clips.csv", 0.5)
    return Collection.open(folder / "index.json")


@pytest.fixture(scope="session")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    return write_pool(tmp_path_factory.mktemp("data") / "pool")


@pytest.fixture(scope="session")
def long_pool(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    """Clips long enough for the widest speeds at windows of five frames, but for one of a single frame."""
    return write_pool(tmp_path_factory.mktemp("data") / "pool", lengths=(24, 30, 18, 1, 30, 22, 26, 20))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 200 kB."""
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(small)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small file system can be mounted by root only")
    yield small
    for _ in range(50):
        if subprocess.run(["umount", str(small)], capture_output=True).returncode == 0:
            break
        time.sleep(0.1)
