"""What views do to windows: batched, on the windows' device, each clip with numbers of its own.

Windows are normalised, (N, C, T, H, W), or (N, 1, columns, mels) for audio; time is axis 2 of both. Flow, the only
modality with two channels, changes with what is done to its frames: its sign when played backward, its lengths when
zoomed.

A view whose transform is to be recognised has it in some of its clips, and a label that says in which: each view is
normalised by its own statistics, which would take away what all of its clips have in common.

Where the order of frames is asked for, padding would tell it: a short clip's repeated end comes first when it plays
backward. So clips with padded windows are not usable for such views.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from pipeline_src.batches.augment import augment, blur, zoom
from pipeline_src.batches.draws import Draws
from pipeline_src.batches.moments import RANKED

Changed = tuple[Tensor, Tensor | None]


@dataclass(frozen=True)
class Transform:
    """A kind of view.

    Attributes:
        moment: which frames it reads, a key of moments.MOMENTS.
        change: what it does to them; also takes the view's settings.
        ordered: whether terms ask for the order of its frames, so that only whole windows are usable.
    """

    moment: str
    change: Callable[..., Changed]
    ordered: bool = False


def _keep(x: Tensor, draws: Draws) -> Changed:
    return x, None


def _reverse(x: Tensor, draws: Draws) -> Changed:
    """Play backward; what moved right now moves left, and starts where it went."""
    if is_flow(x):
        x = -arrived(x, draws.pixels)
    return x.flip(2), None


def _shuffle(x: Tensor, draws: Draws) -> Changed:
    """Another order of the frames for each clip, never the order they have."""
    frames = x.shape[2]
    order = draws.uniform(frames).argsort(1)
    in_order = (order == torch.arange(frames, device=x.device)).all(1, keepdim=True)
    return reorder(x, torch.where(in_order, order.roll(1, 1), order)), None


def _shuffle_segments(x: Tensor, draws: Draws, segments: int) -> Changed:
    """Another order of a spectrogram's segments, never the order they have; a rest at its end stays."""
    length = x.shape[2] // segments
    orders = torch.tensor(list(itertools.permutations(range(segments)))[1:], device=x.device)
    order = orders[draws.whole(len(orders))]
    places = order[:, :, None] * length + torch.arange(length, device=x.device)
    rest = torch.arange(segments * length, x.shape[2], device=x.device).expand(len(x), -1)
    return reorder(x, torch.cat([places.flatten(1), rest], 1)), None


def _rotate(x: Tensor, draws: Draws) -> Changed:
    """By 0, 90, 180 or 270 degrees; the label says which."""
    label = draws.whole(4)
    turned = torch.stack([torch.rot90(x, k, (3, 4)) for k in range(4)])
    return turned[label, torch.arange(len(x), device=x.device)], label


def _stretch(x: Tensor, draws: Draws, classes: int, largest: float) -> Changed:
    """To one of `classes` aspect ratios, evenly spread from 1 / largest to largest on a log scale.

    All ratios show an equally large part of the window, so none is told by a border or by the zoom. A blur hides how
    finely each axis was sampled.
    """
    label = draws.whole(classes)
    ratio = largest ** (2 * label / (classes - 1) - 1)
    shown = largest**-0.5
    boxes = torch.stack([shown * ratio.sqrt(), shown / ratio.sqrt()], 1)
    corner = draws.uniform(2) * (1 - boxes)
    return blur(zoom(x, torch.cat([corner, boxes], 1)), torch.ones(len(x), device=x.device)), label


def _or_not(change: Callable[..., Changed]) -> Callable[..., Changed]:
    """Change a clip or leave it as it is (label 1), each as likely."""

    def changed_or_not(x: Tensor, draws: Draws, *settings: float) -> Changed:
        changed, _ = change(x, draws, *settings)
        plain = draws.whole(2)
        return torch.where(plain.view(-1, *[1] * (x.dim() - 1)) == 1, x, changed), plain

    return changed_or_not


def _apart(x: Tensor, draws: Draws, count: int) -> Changed:
    """A moment of `count` clips one after the other as clips of their own, each augmented by itself."""
    parts = [augment(part, draws)[0] for part in x.chunk(count, 2)]
    return torch.stack(parts, 1).flatten(0, 1), None


def _noisy(x: Tensor, draws: Draws, deviation: float) -> Changed:
    return x + deviation * draws.noise(*x.shape[1:]), None


def _mask(x: Tensor, draws: Draws, share: float, patch: int) -> Changed:
    """Zeros in a share of the squares of `patch` pixels, the same in all frames; the label is 1 there, (N, 1, H, W)."""
    height, width = x.shape[3:]
    patch = min(patch, height // 4, width // 4)
    rows, columns = -(-height // patch), -(-width // patch)
    hidden = min(max(1, round(share * rows * columns)), rows * columns - 1)
    ranks = draws.uniform(rows * columns).argsort(1).argsort(1)
    squares = (ranks < hidden).view(-1, 1, rows, columns).to(x.dtype)
    mask = squares.repeat_interleave(patch, 2).repeat_interleave(patch, 3)[:, :, :height, :width]
    return x * (1 - mask[:, :, None]), mask


def _augment(x: Tensor, draws: Draws) -> Changed:
    return augment(x, draws)[0], None


def _frames(x: Tensor, draws: Draws) -> Changed:
    """Each frame as a clip of its own."""
    return x.transpose(1, 2).flatten(0, 1)[:, :, None], None


def _augmented_frames(x: Tensor, draws: Draws) -> Changed:
    return _frames(augment(x, draws)[0], draws)


def _middle(x: Tensor, draws: Draws) -> Changed:
    """The frame in the middle alone."""
    middle = x.shape[2] // 2
    return x[:, :, middle : middle + 1], None


def _pieces(x: Tensor, draws: Draws, grid: int) -> Changed:
    """grid x grid squares, row by row, each cut from its cell with a gap of a random width to its neighbours."""
    size = x.shape[3] // grid
    side = max(2, size * 3 // 4)
    gaps = draws.whole(size - side + 1, grid * grid, 2)
    steps = torch.arange(side, device=x.device)
    clips = torch.arange(len(x), device=x.device)[:, None, None]
    cut = []
    for cell in range(grid * grid):
        rows = cell // grid * size + gaps[:, cell, 0, None] + steps
        columns = cell % grid * size + gaps[:, cell, 1, None] + steps
        # Indexed axes come first: (N, side, side, C, T).
        cut.append(x.permute(0, 3, 4, 1, 2)[clips, rows[:, :, None], columns[:, None, :]].permute(0, 3, 4, 1, 2))
    return torch.stack(cut, 1).flatten(0, 1), None


def _questions(x: Tensor, draws: Draws, questions: int) -> Changed:
    """Sub-clips of half the frames, drawn in order but for one, the label, whose frames are shuffled."""
    frames = x.shape[2]
    half = max(2, frames // 2)
    order = draws.uniform(questions, frames).argsort(2)[:, :, :half].sort(2).values
    label = draws.whole(questions)
    wrong = draws.uniform(half).argsort(1)
    in_order = (wrong == torch.arange(half, device=x.device)).all(1, keepdim=True)
    wrong = torch.where(in_order, wrong.roll(1, 1), wrong)
    clips = torch.arange(len(x), device=x.device)
    order[clips, label] = order[clips, label].gather(1, wrong)
    repeated = x.repeat_interleave(questions, 0)
    return reorder(repeated, order.flatten(0, 1)), label


def arrived(flow: Tensor, pixels: tuple[float, float]) -> Tensor:
    """Flow at the pixels that it leads to instead of those that it starts from.

    Were flow negated where it lies, things of a reversed clip would not go where their flow says, which would tell it
    without an arrow of time. Where several pixels arrive the fastest is in front; where none does, the flow around is
    taken.

    Args:
        flow: normalised, (N, 2, T, H, W).
        pixels: of a unit along x and y.
    """
    clips, _, frames, height, width = flow.shape
    flat = flow.transpose(1, 2).reshape(clips * frames, 2, height * width)
    moved = flat * flow.new_tensor(pixels)[:, None]
    places = torch.arange(height * width, device=flow.device)
    x, y = (places % width + moved[:, 0]).round(), (places // width + moved[:, 1]).round()
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    target = (y.clamp(0, height - 1) * width + x.clamp(0, width - 1)).long()
    strength = moved.square().sum(1).masked_fill(~inside, -1)
    fastest = torch.full_like(strength, -1).scatter_reduce(1, target, strength, "amax")
    first = inside & (strength == fastest.gather(1, target))
    # Of equally fast ones the last, so that the choice is always the same.
    origin = torch.full_like(target, -1).scatter_reduce(1, target, torch.where(first, places, -1), "amax")
    covered = (origin >= 0)[:, None].to(flow.dtype)
    found = flat.gather(2, origin.clamp_min(0)[:, None].expand(-1, 2, -1)) * covered
    shape = (-1, 2, height, width)
    share = functional.avg_pool2d(covered.view(-1, 1, height, width), 5, 1, 2)
    around = functional.avg_pool2d(found.view(shape), 5, 1, 2) / share.clamp_min(1e-6)
    filled = torch.where(covered.view(-1, 1, height, width) > 0, found.view(shape), around)
    return filled.view(clips, frames, 2, height, width).transpose(1, 2)


def is_flow(x: Tensor) -> bool:
    """Whether windows are flow, which has two channels."""
    return x.dim() == 5 and x.shape[1] == 2


def reorder(x: Tensor, order: Tensor) -> Tensor:
    """Frames in another order, (N, T')."""
    return x[torch.arange(len(x), device=x.device)[:, None], :, order].movedim(1, 2)


TRANSFORMS: dict[str, Transform] = {
    "plain": Transform("now", _keep),
    "next": Transform("next", _keep),
    "shifted": Transform("shifted", _keep),
    "reversed": Transform("now", _or_not(_reverse), ordered=True),
    "shuffled": Transform("now", _or_not(_shuffle), ordered=True),
    "segments": Transform("now", _or_not(_shuffle_segments), ordered=True),
    "rotated": Transform("now", _rotate),
    "stretched": Transform("now", _stretch),
    "noisy": Transform("now", _noisy),
    "masked": Transform("now", _mask),
    "frames": Transform("now", _frames, ordered=True),
    "frames1": Transform("now", _augmented_frames, ordered=True),
    "frames2": Transform("now", _augmented_frames, ordered=True),
    "middle": Transform("now", _middle),
    "pieces": Transform("now", _pieces),
    "questions": Transform("now", _questions, ordered=True),
    "keyframe": Transform("keyframe", _keep),
    "speed": Transform("speed", _keep),
    "playback": Transform("playback", _keep),
    "pace1": Transform("pace1", _augment),
    "pace2": Transform("pace2", _augment),
    "ranked": Transform("ranked", partial(_apart, count=len(RANKED))),
    **{f"crop{number}": Transform(f"crop{number}", _augment) for number in range(1, 5)},
    "zoom1": Transform("now", augment),
    "zoom2": Transform("now", augment),
}
