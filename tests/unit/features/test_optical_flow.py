"""Flow in 8 bits: known error, counted clipping, plan order, any number of threads."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from pipeline_src.features.flow import dis
from pipeline_src.features.grey import luma
from pipeline_src.features.optical_flow import BLOCK, flow_of_clips, in_order, pixels, quantise, scale
from pipeline_src.settings.features import FlowSettings
from pipeline_src.shards.reader import ShardReader
from pipeline_src.shards.writer import ShardWriter


@pytest.mark.parametrize("bound", [0.3, 20.0, 1000.0])
def test_flow_within_the_bound_comes_back_within_half_a_unit(bound):
    flow = np.linspace(-bound, bound, 9999).astype(np.float32).clip(-bound, bound).reshape(-1, 1)
    flow = np.concatenate([flow, -flow], axis=1)
    stored = quantise(flow, bound)
    assert stored.flow.dtype == np.uint8
    assert (stored.flow.min(), stored.flow.max()) == (1, 255)
    error = pixels(stored.flow, scale(bound)) - flow
    assert np.abs(error).max() <= scale(bound) * 0.5001
    assert stored.clipped == 0
    assert stored.squared_error == pytest.approx(np.square(error.astype(float)).sum(), rel=1e-3)


def test_no_motion_is_128_and_the_bound_is_127_units_from_it():
    stored = quantise(np.array([[0, 0.01], [20, -20]], np.float32), 20).flow
    assert stored.tolist() == [[128, 128], [255, 1]]
    assert pixels(stored, scale(20)).tolist() == [[0, 0], [pytest.approx(20), pytest.approx(-20)]]


def test_values_beyond_the_bound_are_clipped_and_counted():
    wild = np.array([[20.1, -500], [np.inf, -np.inf], [np.nan, 3]], np.float32)
    stored = quantise(wild, 20)
    assert stored.flow.tolist() == [[255, 1], [255, 1], [128, 147]]
    assert stored.clipped == 5
    # Clipping belongs to the error; what is not finite cannot.
    assert stored.squared_error == pytest.approx(0.1**2 + 480**2 + (19 * 20 / 127 - 3) ** 2, rel=1e-4)


def write_frames(path: Path, lengths: list[int]) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    clips = [rng.integers(0, 256, (n, 24, 32, 3)).astype(np.uint8) for n in lengths]
    with ShardWriter(path, modality="frames", item_shape=(24, 32, 3), dtype="uint8") as shard:
        for row, clip in enumerate(clips):
            shard.add(f"clip-{row}", clip)
    return clips


@pytest.mark.parametrize("threads", [1, 3])
def test_clips_keep_their_order_length_and_values_with_any_number_of_threads(tmp_path, threads):
    lengths = [2 * BLOCK + 3, 0, 1, 2, BLOCK + 1, BLOCK]
    clips = write_frames(tmp_path / "frames.h5", lengths)
    settings = FlowSettings.model_validate({"bound": 0.5})
    found = list(flow_of_clips(ShardReader(tmp_path / "frames.h5"), settings, threads))
    assert [clip.clip_id for clip in found] == [f"clip-{row}" for row in range(len(lengths))]
    for clip, frames in zip(found, clips, strict=True):
        if len(frames) < 2:
            assert clip.stored is None
            assert clip.reason == ("" if len(frames) else "no frames")
            continue
        grey = luma(frames)
        whole = quantise(dis.pairs(grey[:-1], grey[1:], settings.settings), 0.5)
        np.testing.assert_array_equal(clip.stored.flow, whole.flow)
        assert clip.stored.clipped == whole.clipped > 0
        assert clip.stored.squared_error == pytest.approx(whole.squared_error, rel=1e-5)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_blocks_of_any_size_give_the_same_flow(tmp_path, monkeypatch, size):
    """A GPU's blocks hold many clips; a clip's flow must not know."""
    write_frames(tmp_path / "frames.h5", [9, 0, 2, 30, 1, 5])
    reader, settings = ShardReader(tmp_path / "frames.h5"), FlowSettings()
    expected = [clip.stored for clip in flow_of_clips(reader, settings, 2)]
    asked = []
    monkeypatch.setattr(dis, "batch", lambda *about: asked.append(about) or size, raising=False)
    for clip, stored in zip(flow_of_clips(reader, settings, 2), expected, strict=True):
        assert (clip.stored is None) == (stored is None)
        if stored is not None:
            np.testing.assert_array_equal(clip.stored.flow, stored.flow)
            assert clip.stored.squared_error == pytest.approx(stored.squared_error, rel=1e-5)
    assert asked == [(24, 32, settings.settings)]


def test_few_items_are_in_memory_at_a_time():
    """A shard of long clips must not be read into memory at once."""
    taken, given, most = 0, 0, 0

    def items():
        nonlocal taken, most
        for item in range(50):
            taken += 1
            most = max(most, taken - given)
            yield item

    for result in in_order(lambda item: item * item, items(), 3):
        assert result == given**2
        given += 1
    assert given == 50
    assert most <= 8


def test_items_are_worked_on_at_the_same_time():
    both = threading.Barrier(2, timeout=10)

    def meet(item: int) -> int:
        both.wait()
        return item

    assert list(in_order(meet, range(4), 2)) == [0, 1, 2, 3]


def test_an_error_in_a_thread_ends_the_work():
    started = []

    def work(item: int) -> int:
        started.append(item)
        time.sleep(0.01)
        if item == 3:
            raise ValueError("item 3")
        return item

    with pytest.raises(ValueError, match="item 3"):
        list(in_order(work, range(1000), 2))
    assert len(started) < 20


def test_whoever_ends_early_does_not_wait_for_what_is_under_way():
    """A cluster kills a job that does not end soon after it was told to."""
    go_on = threading.Event()
    results = in_order(lambda item: item or go_on.wait(30), [1, 0, 0, 1, 1, 1], 2)
    assert next(results) == 1
    started = time.monotonic()
    results.close()
    assert time.monotonic() - started < 10
    go_on.set()
