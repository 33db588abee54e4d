"""Augmentation of whole clips, batched: every frame of a clip alike, every clip with numbers of its own.

Zoom into a part of the window, mirror, and for rgb colours, grey and blur, with the strengths of MoCo v2 (Chen et al.
2020, section 4), which SimCLR's successors share. Flow is zoomed and mirrored with its vectors, and has no colours.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from pipeline_src.batches.draws import Draws

AREA = (0.2, 1.0)
RATIO = (3 / 4, 4 / 3)
BRIGHTNESS, CONTRAST, SATURATION, HUE = 0.4, 0.4, 0.4, 0.1
JITTERED, GREYED, BLURRED = 0.8, 0.2, 0.5
SIGMA = (0.1, 2.0)
# A clip of 224 pixels is blurred by up to 2; smaller ones by as much of their size.
SIGMA_SIZE = 224
LUMA = (0.299, 0.587, 0.114)


def augment(x: Tensor, draws: Draws) -> tuple[Tensor, Tensor]:
    """Augmented clips, and where they were cut.

    Args:
        x: normalised clips (N, C, T, H, W); rgb in units of its deviation around its mean.
        draws: random numbers.

    Returns:
        The clips, and (N, 5): left, top, width and height of the part shown as shares of the window, and 1 where it
        is mirrored.
    """
    box = _boxes(draws)
    mirrored = draws.uniform() < 0.5
    y = zoom(x, box)
    if x.shape[1] == 2:
        y = y / box[:, 2:, None, None, None]
    flipped = y.flip(4)
    if x.shape[1] == 2:
        flipped = flipped * torch.tensor([-1.0, 1.0], device=x.device, dtype=x.dtype)[:, None, None, None]
    y = torch.where(mirrored[:, None, None, None, None], flipped, y)
    if x.shape[1] == 3:
        y = blur(_colours(y, draws), _sigmas(x.shape[3], draws))
    return y, torch.cat([box, mirrored[:, None].to(box.dtype)], 1)


def zoom(x: Tensor, box: Tensor) -> Tensor:
    """Parts of clips enlarged to their size.

    Args:
        x: (N, C, T, H, W).
        box: (N, 4) left, top, width, height, as shares of the window.
    """
    clips, channels, frames, height, width = x.shape
    box = box.to(x.dtype)
    scale, centre = box[:, 2:], 2 * box[:, :2] + box[:, 2:] - 1
    theta = torch.zeros(clips, 2, 3, device=x.device, dtype=x.dtype)
    theta[:, 0, 0], theta[:, 1, 1] = scale[:, 0], scale[:, 1]
    theta[:, :, 2] = centre
    grid = functional.affine_grid(theta, [clips, 1, height, width], align_corners=False)
    flat = x.reshape(clips, channels * frames, height, width)
    return functional.grid_sample(flat, grid, padding_mode="border", align_corners=False).view_as(x)


def blur(x: Tensor, sigma: Tensor) -> Tensor:
    """Gaussian blur of every frame, (N,) standard deviations in pixels; 0 leaves a clip as it is.

    As products with banded matrices, which take clips of different sigma at once and are fast on any device.
    """
    sigma = sigma.to(x.dtype)
    columns = _blur_matrix(x.shape[4], sigma)
    rows = columns if x.shape[3] == x.shape[4] else _blur_matrix(x.shape[3], sigma)
    return rows[:, None, None] @ x @ columns[:, None, None].transpose(3, 4)


def _blur_matrix(size: int, sigma: Tensor) -> Tensor:
    """(N, size, size): each row the weights of one blurred pixel, mirrored at the borders."""
    reach = min(max(1, math.ceil(3 * SIGMA[1])), size - 1)
    steps = torch.arange(-reach, reach + 1, device=sigma.device)
    weights = torch.softmax(-0.5 * (steps / sigma.clamp_min(1e-2)[:, None]) ** 2, 1)
    places = (torch.arange(size, device=sigma.device)[:, None] + steps).abs()
    places = torch.where(places >= size, 2 * (size - 1) - places, places)
    matrix = torch.zeros(len(sigma), size, size, device=sigma.device, dtype=sigma.dtype)
    return matrix.scatter_add(2, places.expand(len(sigma), -1, -1), weights[:, None].expand(-1, size, -1))


def _boxes(draws: Draws) -> Tensor:
    """(N, 4) random parts: area and aspect ratio as for image networks (Szegedy et al. 2015), shortened to fit."""
    area = draws.uniform(low=AREA[0], high=AREA[1])
    ratio = torch.exp(draws.uniform(low=math.log(RATIO[0]), high=math.log(RATIO[1])))
    size = torch.stack([(area * ratio).sqrt(), (area / ratio).sqrt()], 1).clamp_max(1.0)
    return torch.cat([draws.uniform(2) * (1 - size), size], 1)


def _sigmas(size: int, draws: Draws) -> Tensor:
    chosen = draws.uniform() < BLURRED
    sigma = draws.uniform(low=SIGMA[0], high=SIGMA[1]) * min(1.0, size / SIGMA_SIZE)
    return torch.where(chosen, sigma, torch.zeros_like(sigma))


def _colours(x: Tensor, draws: Draws) -> Tensor:
    """Brightness, contrast, saturation and hue of some clips changed, some turned grey.

    In units of the pool's deviation: brightness shifts, contrast stretches around each clip's mean, saturation and hue
    stretch and turn the colours around their grey.
    """
    column = (-1, 1, 1, 1, 1)
    chosen = (draws.uniform() < JITTERED).view(column)
    brightness = draws.uniform(low=-BRIGHTNESS, high=BRIGHTNESS).view(column)
    contrast = draws.uniform(low=1 - CONTRAST, high=1 + CONTRAST).view(column)
    saturation = draws.uniform(low=1 - SATURATION, high=1 + SATURATION).view(column)
    angle = 2 * math.pi * draws.uniform(low=-HUE, high=HUE)
    luma = torch.tensor(LUMA, device=x.device, dtype=x.dtype).view(1, 3, 1, 1, 1)
    mean = x.mean((1, 2, 3, 4), keepdim=True)
    y = (x - mean) * contrast + mean + brightness * 2
    grey = (y * luma).sum(1, keepdim=True)
    y = grey + saturation * _turned(y - grey, angle)
    x = torch.where(chosen, y, x)
    greyed = (draws.uniform() < GREYED).view(column)
    return torch.where(greyed, (x * luma).sum(1, keepdim=True).expand_as(x), x)


def _turned(colour: Tensor, angle: Tensor) -> Tensor:
    """Colours turned around the grey axis by (N,) radians (Rodrigues' rotation)."""
    cosine, sine = torch.cos(angle), torch.sin(angle)
    third, root = (1 - cosine) / 3, sine / math.sqrt(3)
    same, up, down = cosine + third, third + root, third - root
    rows = [same, down, up, up, same, down, down, up, same]
    matrix = torch.stack(rows, 1).view(-1, 3, 3)
    return torch.einsum("nij,njthw->nithw", matrix, colour)
