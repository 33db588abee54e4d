"""From stored values to what encoders see, on the device."""

import torch
from torch import Tensor

from pipeline_src.shards.index import Collection

Statistics = dict[str, tuple[list[float], list[float]]]


def statistics_of(collection: Collection, modalities: list[str]) -> Statistics:
    """Mean and deviation per channel of the modalities, as plain numbers.

    Flow keeps its zero, 128 as stored, so that a mirrored window is exactly one of opposite sign. Its deviation in
    pixels stands beside it, as `flow.pixels`.
    """
    found: Statistics = {}
    for modality in modalities:
        mean, std = collection.statistics(modality)
        found[modality] = ([128.0] * len(mean) if modality == "flow" else mean.tolist(), std.tolist())
        if modality == "flow":
            scale = float(collection.describe("flow")["attributes"]["scale"])
            found["flow.pixels"] = ([0.0] * len(mean), (scale * std).tolist())
    return found


def normalise(stored: Tensor, modality: str, statistics: Statistics, dtype: torch.dtype = torch.float32) -> Tensor:
    """(N, T, H, W, C) uint8 to (N, C, T, H, W), or (N, columns, mels) to (N, 1, columns, mels); mean 0, deviation 1."""
    mean, std = (torch.tensor(part, device=stored.device, dtype=dtype) for part in statistics[modality])
    if modality == "audio":
        return ((stored.to(dtype) - mean) / std)[:, None]
    return ((stored.to(dtype) - mean) / std).permute(0, 4, 1, 2, 3).contiguous()
