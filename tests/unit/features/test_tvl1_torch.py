"""TV-L1 in PyTorch: OpenCV's flow, for many pairs at once."""

import csv
import subprocess
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from pipeline_src.clips.ffmpeg import ffmpeg_path
from pipeline_src.errors import UserError
from pipeline_src.features.flow import tvl1, tvl1_torch
from pipeline_src.features.flow.median import median, sorted_median
from pipeline_src.settings import catalogue

REAL = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "real"


def flows(before: np.ndarray, after: np.ndarray, **settings: Any) -> tuple[np.ndarray, np.ndarray]:
    """OpenCV's flow and ours."""
    if not hasattr(cv2, "optflow"):
        pytest.skip("needs OpenCV's contrib modules to compare with")
    theirs = tvl1.pairs(before, after, catalogue.complete("flow", "tvl1", settings))
    return theirs, tvl1_torch.pairs(before, after, catalogue.complete("flow", "tvl1_torch", settings))


def distance(first: np.ndarray, second: np.ndarray) -> float:
    """Mean end-point difference in pixels."""
    return float(np.linalg.norm(first - second, axis=-1).mean())


def texture(seed: int, size: int) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 256, (size, size)).astype(np.float32)
    mixed = cv2.GaussianBlur(noise, (0, 0), 1.5) + 2 * cv2.GaussianBlur(noise, (0, 0), 5)
    return cv2.normalize(mixed, None, 0, 255, cv2.NORM_MINMAX)


def known(seed: int, size: int, kind: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two frames and the true flow between them at the first one's pixels."""
    y, x = np.mgrid[:size, :size].astype(np.float32)
    middle = (size - 1) / 2
    right, down = x - middle, y - middle
    motion = {
        "slow": (0.3 + 0 * x, -0.2 + 0 * y),
        "fast": (3.2 + 0 * x, -2.1 + 0 * y),
        "turn": (-0.04 * down, 0.04 * right),
        "zoom": (0.04 * right, 0.04 * down),
        "wave": (2 * np.sin(y / 12), 1.5 * np.cos(x / 15)),
    }[kind]
    flow = np.stack(motion, axis=-1).astype(np.float32)
    picture = texture(seed, size + 80)
    # The second frame shows a point's value where the flow leads it, so the first is sampled through the flow.
    before = cv2.remap(picture, x + 40 + flow[..., 0], y + 40 + flow[..., 1], cv2.INTER_CUBIC)
    after = picture[40 : 40 + size, 40 : 40 + size]
    before, after = (np.clip(frame, 0, 255).round().astype(np.uint8) for frame in (before, after))
    return before, after, flow


def test_as_accurate_as_opencv_on_known_motion() -> None:
    theirs, ours = [], []
    for kind in ("slow", "fast", "turn", "zoom", "wave"):
        cases = [known(seed, 96, kind) for seed in range(2)]
        before, after, truth = (np.stack(arrays) for arrays in zip(*cases, strict=True))
        found = flows(before, after)
        theirs.append(distance(found[0], truth))
        ours.append(distance(found[1], truth))
        assert ours[-1] < 0.2, kind
    print("mean end-point error, OpenCV and ours:", theirs, ours)
    assert np.mean(ours) <= 1.01 * np.mean(theirs)


SETTINGS = [
    {"tau": 0.1},
    {"lambda": 0.05},
    {"theta": 0.15},
    {"scales": 2},
    {"scale_step": 0.5},
    {"warps": 2},
    {"epsilon": 0.05},
    {"inner_iterations": 5, "epsilon": 0.001},
    {"outer_iterations": 1, "epsilon": 0.001},
    {"median_filter": 1},
    {"median_filter": 3},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_every_setting_means_what_it_means_in_opencv(settings: dict[str, Any]) -> None:
    before, after, _ = known(3, 64, "wave")
    theirs, ours = flows(before[None], after[None], **settings)
    default = flows(before[None], after[None])[1]
    changed = distance(ours, default)
    assert changed > 0
    assert distance(ours, theirs) < max(0.02, 0.3 * changed)


@pytest.mark.skipif(not REAL.is_dir(), reason="needs shared/data/real beside the checkout")
def test_close_to_opencv_on_real_video_and_not_biased() -> None:
    """At most a tenth of a pixel on the mean, and the same way on the whole."""
    before, after = real_pairs(24, 128)
    theirs, ours = flows(before, after)
    bias = (ours - theirs).mean((0, 1, 2))
    print("mean end-point difference", distance(theirs, ours), "bias", bias)
    assert distance(theirs, ours) <= 0.1
    assert np.abs(bias).max() < 0.01
    # The same direction where something moves: the mean angle between both.
    moving = np.minimum(np.linalg.norm(theirs, axis=-1), np.linalg.norm(ours, axis=-1)) > 0.5
    turned = np.angle((ours[moving] @ [1, 1j]) / (theirs[moving] @ [1, 1j]))
    print("mean angle", np.degrees(turned.mean()), "degrees over", moving.mean(), "of the pixels")
    assert abs(turned.mean()) < np.radians(1)


def real_pairs(number: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Neighbouring frames at 15 frames per second from clips spread over all actions."""
    with open(REAL / "actions.csv", newline="", encoding="utf-8") as file:
        files = [row["path"] for row in csv.DictReader(file)]
    frames = []
    for name in files[:: len(files) // number][:number]:
        scaled = f"fps=15,crop=240:240,scale={size}:{size}:flags=area"
        command = [ffmpeg_path(), "-v", "error", "-i", f"file:{REAL / name}", "-vf", scaled]
        command += ["-frames:v", "6", "-f", "rawvideo", "-pix_fmt", "gray", "-"]
        raw = subprocess.run(command, check=True, capture_output=True).stdout
        frames.append(np.frombuffer(raw, np.uint8).reshape(-1, size, size)[-2:])
    found = np.stack(frames)
    return found[:, 0], found[:, 1]


def test_a_pair_alone_and_among_others_has_the_same_flow() -> None:
    """Flow must not depend on where a clip was cut or what stands beside it in its shard."""
    cases = [known(seed, 72, kind) for seed in range(2) for kind in ("slow", "fast", "wave", "turn")]
    before, after = (np.stack([case[i] for case in cases]) for i in (0, 1))
    settings = catalogue.complete("flow", "tvl1_torch", {})
    together = tvl1_torch.pairs(before, after, settings)
    for row in range(len(cases)):
        alone = tvl1_torch.pairs(before[row : row + 1], after[row : row + 1], settings)
        np.testing.assert_array_equal(alone[0], together[row])


@pytest.mark.parametrize("size", [(17, 130), (130, 17), (16, 16), (33, 47)])
def test_odd_sizes_are_as_in_opencv(size: tuple[int, int]) -> None:
    before, after, _ = known(5, 140, "slow")
    theirs, ours = flows(before[None, : size[0], : size[1]], after[None, : size[0], : size[1]])
    assert distance(theirs, ours) < 0.02


@pytest.mark.parametrize("width", [1, 3, 5])
def test_both_median_filters_are_exact(width: int) -> None:
    """A GPU's filter compares shifted pictures; a CPU's is OpenCV's."""
    pictures = torch.from_numpy(np.random.default_rng(width).normal(size=(2, 3, 23, 31)).astype(np.float32))
    pictures[0, 0] = pictures[0, 0].round()  # with many equal values
    expected = torch.stack(
        [torch.from_numpy(cv2.medianBlur(plane.numpy(), width)) for plane in pictures.reshape(-1, 23, 31)]
    ).reshape(pictures.shape)
    assert torch.equal(median(pictures, width), expected)
    if width > 1:
        assert torch.equal(sorted_median(pictures, width), expected)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_a_missing_gpu_is_told() -> None:
    frame = np.zeros((1, 16, 16), np.uint8)
    with pytest.raises(UserError, match=r"flow\.settings\.device: 'cuda'.*allowed here: auto, cpu"):
        tvl1_torch.pairs(frame, frame, catalogue.complete("flow", "tvl1_torch", {"device": "cuda"}))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_finds_what_a_cpu_finds() -> None:
    cases = [known(seed, 96, "wave") for seed in range(4)]
    before, after = (np.stack([case[i] for case in cases]) for i in (0, 1))
    cpu, gpu = (
        tvl1_torch.pairs(before, after, catalogue.complete("flow", "tvl1_torch", {"device": device}))
        for device in ("cpu", "cuda")
    )
    assert distance(cpu, gpu) < 0.05
