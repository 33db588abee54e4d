"""What terms on single frames share: per-frame embeddings of a window, and where it moves most."""

import torch
from torch import Tensor
from torch.nn import functional

from pipeline_src.batches.views import View
from pipeline_src.networks.parallel import gather
from pipeline_src.tasks.term import Inputs, Shapes

GRID = 3


def frame_embeddings(inputs: Inputs, view: View, frames: int) -> Tensor:
    """(M, T, D): each frame's embedding, in the order of time."""
    return inputs.features[view].embedding.unflatten(0, (-1, frames))


def frame_activations(inputs: Inputs, view: View, frames: int) -> Tensor:
    """(N, T, C * cells): each frame's last activations in a coarse grid, of this process's clips, in the order of time.

    Where things are is lost in an embedding, which is their mean.
    """
    activations = inputs.features[view].layers[3].mean(2)
    grid = (min(GRID, activations.shape[2]), min(GRID, activations.shape[3]))
    return functional.adaptive_avg_pool2d(activations, grid).flatten(1).unflatten(0, (-1, frames))


def activation_size(shapes: Shapes, modality: str) -> int:
    """Numbers of a frame in `frame_activations`."""
    _, height, width = shapes.places[modality]
    return shapes.embedding(modality) * min(GRID, height) * min(GRID, width)


def changes(frames: Tensor) -> Tensor:
    """What sets each frame apart from its clip's mean, (M, T, D), of deviation 1 in every clip; 0 where nothing does.

    Frames of a clip look much alike. Beside what they share, which tells neither order nor place, small networks were
    slow to find, or never found, what changes.
    """
    apart = frames - frames.mean(1, keepdim=True)
    return apart / apart.square().mean((1, 2), keepdim=True).add(1e-6).sqrt()


def moving_frames(window: Tensor, count: int) -> Tensor:
    """Numbers (M, count) of evenly spaced frames where the window moves most (Misra et al. 2016, section 3.1).

    Motion is the mean absolute difference of pixels, as good as optical flow for choosing among a window's frames.

    Args:
        window: this process's windows, (N, C, T, H, W).
        count: frames to choose; the spacing is the largest that leaves a choice of starts, or all of the window.
    """
    frames = window.shape[2]
    spacing = max(1, (frames - 2) // (count - 1))
    span = spacing * (count - 1)
    changes = (window[:, :, 1:] - window[:, :, :-1]).abs().mean((1, 3, 4))
    total = functional.pad(changes.cumsum(1), (1, 0))
    moved = total[:, span:] - total[:, : frames - span]
    start = gather(moved.argmax(1))
    return start[:, None] + spacing * torch.arange(count, device=window.device)


def picked(embeddings: Tensor, places: Tensor) -> Tensor:
    """(M, count, D): frames `places` (M, count) of (M, T, D)."""
    return embeddings.gather(1, places[:, :, None].expand(-1, -1, embeddings.shape[2]))
