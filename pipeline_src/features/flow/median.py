"""Median filter of pictures on any device."""

import cv2
import torch
from torch import Tensor
from torch.nn import functional

# Exchanges that sort three or five values.
SORTING = {3: ((0, 1), (1, 2), (0, 1)), 5: ((0, 1), (3, 4), (2, 4), (2, 3), (0, 3), (0, 2), (1, 4), (1, 3), (1, 2))}


def median(pictures: Tensor, width: int) -> Tensor:
    """The median of the width x width pixels around each, with the border repeated.

    Args:
        pictures: float32 (..., H, W).
        width: 1 (which changes nothing), 3 or 5.

    Returns:
        A tensor of the same shape and device; on each device exactly the same values.
    """
    if width == 1:
        return pictures
    if pictures.device.type == "cpu":
        planes = pictures.reshape(-1, *pictures.shape[-2:])
        filtered = [torch.from_numpy(cv2.medianBlur(plane.numpy(), width)) for plane in planes]
        return torch.stack(filtered).reshape(pictures.shape)
    return sorted_median(pictures, width)


def sorted_median(pictures: Tensor, width: int) -> Tensor:
    """As `median`, by comparing whole pictures with their shifted copies.

    Columns of the window are sorted once for all windows that share them, then rows of equal rank. In a square that is
    sorted in both directions, (i + 1)(j + 1) values are at most value (i, j), and (width - i)(width - j) at least: only
    those can be the median for which neither is more than half of all.
    """
    half = width // 2
    planes = pictures.reshape(-1, 1, *pictures.shape[-2:])
    padded = functional.pad(planes, (half, half, half, half), mode="replicate")[:, 0]
    height, length = pictures.shape[-2:]
    columns = _sorted([padded[:, i : i + height] for i in range(width)])
    most = width * width // 2 + 1
    candidates = []
    for i, column in enumerate(columns):
        row = _sorted([column[..., j : j + length] for j in range(width)])
        candidates += [
            value for j, value in enumerate(row) if (i + 1) * (j + 1) <= most and (width - i) * (width - j) <= most
        ]
    return _middle(candidates).reshape(pictures.shape)


def _sorted(values: list[Tensor]) -> list[Tensor]:
    values = list(values)
    for low, high in SORTING[len(values)]:
        values[low], values[high] = torch.minimum(values[low], values[high]), torch.maximum(values[low], values[high])
    return values


def _middle(values: list[Tensor]) -> Tensor:
    """The median of an odd number: what is lowest or highest among more than half of all is not it."""
    half = len(values) // 2 + 2
    pool, waiting = values[:half], values[half:]
    while True:
        for i in range(1, len(pool)):
            pool[0], pool[i] = torch.minimum(pool[0], pool[i]), torch.maximum(pool[0], pool[i])
        for i in range(1, len(pool) - 1):
            pool[i], pool[-1] = torch.minimum(pool[i], pool[-1]), torch.maximum(pool[i], pool[-1])
        pool = pool[1:-1]
        if not waiting:
            return pool[0]
        pool.append(waiting.pop(0))
