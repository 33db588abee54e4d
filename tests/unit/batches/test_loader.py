"""Batches depend on the seed and the step alone."""

import pickle
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from pipeline_src.batches.loader import StepSampler, TrainingWindows, training_batches
from pipeline_src.batches.views import View
from pipeline_src.errors import UserError
from pipeline_src.settings.learning import WindowSettings
from pipeline_src.shards.index import Collection

WINDOW = WindowSettings(frames=8, crop=16, future_frames=2)
VIEWS = (View("rgb"), View("rgb", "next"), View("flow"), View("audio"), View("audio", "shifted"))


def batches(pool: Collection, first: int, workers: int = 0) -> list[dict[str, torch.Tensor]]:
    windows = TrainingWindows(pool, WINDOW, VIEWS, seed=3)
    return list(training_batches(windows, 4, 3, first, 5, workers, pinned=False))


def same(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)


def test_a_resumed_run_sees_the_batches_it_would_have_seen(pool: Collection) -> None:
    whole, rest = batches(pool, 0), batches(pool, 3)
    assert len(whole) == 5
    assert all(same(a, b) for a, b in zip(whole[3:], rest, strict=True))


def test_reading_in_other_processes_changes_nothing(pool: Collection) -> None:
    assert all(same(a, b) for a, b in zip(batches(pool, 0), batches(pool, 0, workers=2), strict=True))


class Unreadable(TrainingWindows):
    """Windows of which none can be read."""

    def __getitem__(self, item: tuple[int, int, int]) -> dict[str, Any]:
        raise UserError("pool/frames/000000.h5: gone; decode again")


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_of_a_reading_process_is_the_line_that_it_is_elsewhere(pool: Collection, workers: int) -> None:
    windows = Unreadable(pool, WINDOW, VIEWS, seed=3)
    with pytest.raises(UserError) as told:
        next(training_batches(windows, 4, 3, 0, 5, workers, pinned=False))
    assert str(told.value) == "pool/frames/000000.h5: gone; decode again"


READING = """
import os, signal, sys
from multiprocessing import active_children
from pipeline_src.batches.loader import TrainingWindows, training_batches
from pipeline_src.batches.views import View
from pipeline_src.settings.learning import WindowSettings
from pipeline_src.shards.index import Collection
windows = TrainingWindows(Collection.open(sys.argv[1]), WindowSettings(frames=8, crop=16), (View("rgb"),), seed=3)
unfinished = training_batches(windows, 4, 3, 0, 100, 2, pinned=False)
next(unfinished)
print(*[reader.pid for reader in active_children()], flush=True)
"""
ENDS = {
    "an error": "raise RuntimeError('as if the training had failed')",
    "killed": "os.kill(os.getpid(), signal.SIGKILL)",
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_readers_end_with_the_process_that_reads_no_further(pool: Collection, end: str) -> None:
    command = [sys.executable, "-c", READING + end, pool.folder / "index.json"]
    ended = subprocess.run(command, stdout=subprocess.PIPE, timeout=90)
    readers = [int(pid) for pid in ended.stdout.split()]
    assert len(readers) == 2
    assert ended.returncode in (1, -signal.SIGKILL)
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() for pid in readers):
        assert time.monotonic() < deadline, "readers that nobody ends"
        time.sleep(0.1)


def test_every_clip_is_seen_once_an_epoch() -> None:
    sampler = StepSampler(np.arange(8), 4, seed=1, first=0, steps=4)
    clips = [clip for step in sampler for _, _, clip in step]
    assert sorted(clips[:8]) == list(range(8))
    assert sorted(clips[8:]) == list(range(8))
    assert clips[:8] != clips[8:]


def test_a_pool_smaller_than_a_batch_still_fills_it() -> None:
    (step,) = islice(StepSampler(np.arange(3), 8, seed=1, first=0, steps=1), 1)
    assert len(step) == 8


def test_adding_views_does_not_move_the_windows_of_others(pool: Collection) -> None:
    few = TrainingWindows(pool, WINDOW, (View("rgb"), View("rgb", "next")), seed=3)
    many = TrainingWindows(pool, WINDOW, VIEWS, seed=3)
    for place in ((0, 0, 0), (1, 2, 4)):
        np.testing.assert_array_equal(few[place]["rgb.now"], many[place]["rgb.now"])


def test_the_next_view_follows_the_window(pool: Collection) -> None:
    windows = TrainingWindows(pool, WINDOW, VIEWS, seed=3)
    for step in range(5):
        item = windows[(step, 0, 0)]
        assert item["rgb.next"][0, 0, 0, 0] == item["rgb.now"][-1, 0, 0, 0] + 1


def test_items_say_whether_they_have_sound_and_room_to_shift(pool: Collection) -> None:
    windows = TrainingWindows(pool, WINDOW, VIEWS, seed=3)
    assert [windows[(0, 0, clip)]["has_sound"] for clip in range(8)] == [i not in (2, 5) for i in range(8)]
    assert [windows[(0, 0, clip)]["shifted.usable"] for clip in (0, 2, 3)] == [True, False, False]


def test_two_processes_read_the_batches_of_one(pool: Collection) -> None:
    windows = TrainingWindows(pool, WINDOW, VIEWS, seed=3)
    whole = batches(pool, 0)
    shares = [list(training_batches(windows, 4, 3, 0, 5, 0, False, share=(rank, 2))) for rank in (0, 1)]
    for step, batch in enumerate(whole):
        for key, found in batch.items():
            assert torch.equal(found, torch.cat([share[step][key] for share in shares])), key


def test_clips_of_one_video_carry_its_number(pool: Collection) -> None:
    clips = pool.clips.assign(source_video=["a", "b", "a", "", "", "c", "c", "c"])
    windows = TrainingWindows(replace(pool, clips=clips), WINDOW, (View("rgb"),), seed=3)
    videos = [windows[(0, 0, clip)]["video"] for clip in range(8)]
    assert videos[0] == videos[2]
    assert videos[5] == videos[6] == videos[7]
    # Without a source video a clip is one by itself.
    assert len(set(videos)) == 5


def test_without_flip_nothing_is_mirrored(pool: Collection) -> None:
    windows = TrainingWindows(pool, WINDOW.model_copy(update={"flip": False}), (View("flow"),), seed=3)
    assert all((windows[(step, 0, 0)]["flow.now"][..., 0] >= 128).all() for step in range(12))


def test_a_future_term_does_not_move_the_windows_of_others(pool: Collection) -> None:
    """Else its weight could not be told from its effect on all other terms."""
    without = TrainingWindows(pool, WINDOW, (View("rgb"),), seed=3)
    beside = TrainingWindows(pool, WINDOW, (View("rgb"), View("rgb", "next")), seed=3)
    for step in range(20):
        np.testing.assert_array_equal(without[(step, 0, 0)]["rgb.now"], beside[(step, 0, 0)]["rgb.now"])


def test_reading_processes_get_little_even_of_a_pool_of_millions(pool: Collection) -> None:
    """Each of a dozen readers would otherwise hold the whole table of clips."""
    large = replace(pool, clips=pd.concat([pool.clips] * 1000, ignore_index=True))
    sizes = [len(pickle.dumps(TrainingWindows(c, WINDOW, VIEWS, seed=3))) for c in (pool, large)]
    assert (sizes[1] - sizes[0]) / len(large.clips) < 48
