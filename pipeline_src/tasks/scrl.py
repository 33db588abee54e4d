"""SCRL: the same boxes of two crops of a clip give the same features, without negatives (BYOL on aligned regions)."""

import torch
from torch import Tensor

from pipeline_src.batches.views import View
from pipeline_src.networks.heads import Projector
from pipeline_src.networks.parallel import gather
from pipeline_src.tasks.contrast import MomentumHead, unit
from pipeline_src.tasks.term import Inputs, Key, Momentum, Outcome, Shapes, Term, TermSettings, modality_of

GROUP = "contrast"
TERMS = ("rgb.scrl",)
SETTINGS = {
    "boxes": {"default": 10, "minimum": 1, "maximum": 100, "help": "boxes in the part that both crops show"},
    "momentum": {"default": 0.996, "minimum": 0.0, "maximum": 1.0, "help": "share kept at the start; it rises to 1"},
    "size": {"default": 256, "minimum": 2, "maximum": 65536, "help": "size of the projection"},
    "hidden": {"default": 4096, "minimum": 1, "maximum": 65536, "help": "size of the heads' hidden layers"},
}
SOURCE = "Roh et al. 2021, Spatially Consistent Representation Learning"

SMALLEST = 0.3


class ScrlTerm(Term):
    """Mean over boxes of -cos(prediction from one crop's region, momentum projection of the other's), both ways.

    Both crops show the same frames; their last activations are averaged over time. Boxes are drawn in the part of the
    window that both crops show. Clips whose crops do not overlap by a tenth of the window's sides are left out.

    Args:
        modality: whose clips.
        settings: boxes, momentum, size, hidden.
        shapes: sizes.
    """

    def __init__(self, modality: str, settings: TermSettings, shapes: Shapes) -> None:
        super().__init__()
        self.momentum = Momentum(settings["momentum"], rises=True)
        self.encoded = (View(modality, "zoom1"), View(modality, "zoom2"))
        self.keys = tuple(Key(view, self.momentum) for view in self.encoded)
        self.boxes = settings["boxes"]
        hidden, size = settings["hidden"], settings["size"]
        self.head = MomentumHead(shapes.embedding(modality), hidden, size, normalised=True)
        self.predictor = Projector(size, hidden, size, normalised=True)

    def forward(self, inputs: Inputs) -> Tensor | None:
        """The mean negative cosine; None where too few crops overlap."""
        rows, boxes = self._boxes(inputs)
        predicted = [self._predicted(inputs, crop, rows, boxes) for crop in (0, 1)]
        if len(predicted[0]) < 2:
            return None
        keys = [self._projected(inputs, crop, rows, boxes) for crop in (1, 0)]
        return -torch.stack([(p * key).sum(1).mean() for p, key in zip(predicted, keys, strict=True)]).mean()

    def outcome(self, inputs: Inputs) -> Outcome | None:
        """Right where a region's own is nearer than the same box of any other video's crop.

        Regions elsewhere would be no rivals: where a box lies tells them apart, by the border that it is near to.
        """
        rows, boxes = self._boxes(inputs)
        if len(rows) < 2:
            return None
        predicted = self._predicted(inputs, 0, rows, boxes)
        there = seen_from(boxes, inputs.labels[self.encoded[1]][rows])
        everywhere = there.flatten(0, 1).expand(len(rows), -1, -1)
        found = pooled_regions(inputs.keys[self.keys[1]].layers[3][rows], everywhere)
        with torch.no_grad():
            keys = unit(self.head.target(found)).unflatten(0, (len(rows), -1))
        similarity = torch.einsum("bd,nbd->bn", predicted, keys)
        own = torch.eye(len(rows), dtype=torch.bool, device=keys.device).repeat_interleave(self.boxes, 0)
        videos = inputs.videos[inputs.mine][rows]
        allowed = own | (videos[None, :] != videos.repeat_interleave(self.boxes)[:, None])
        best = similarity.masked_fill(~allowed, -torch.inf).argmax(1, keepdim=True)
        return Outcome(own.gather(1, best).squeeze(1).float(), 1 / allowed.sum(1))

    def follow(self, progress: float) -> None:
        """Move the momentum head."""
        self.head.follow(self.momentum.at(progress))

    def _boxes(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """Rows of the clips at hand whose crops overlap, and boxes (rows, K, 4) in what both of each show."""
        one, two = (inputs.labels[view][:, :4] for view in self.encoded)
        overlap = common_part(one, two)
        rows = (overlap[:, 2:].amin(1) > 0.1).nonzero().squeeze(1)
        drawn = inputs.draws("scrl", whole=False).uniform(self.boxes, 4)
        return rows, inner_boxes(overlap[rows], drawn[rows])

    def _predicted(self, inputs: Inputs, crop: int, rows: Tensor, boxes: Tensor) -> Tensor:
        """Predictions from all boxes of a crop, of all processes, (boxes, size), of length 1."""
        view = self.encoded[crop]
        there = seen_from(boxes, inputs.labels[view][rows])
        online = gather(pooled_regions(inputs.features[view].layers[3][rows], there))
        return unit(self.predictor(self.head.online(online))) if len(online) > 1 else online

    def _projected(self, inputs: Inputs, crop: int, rows: Tensor, boxes: Tensor) -> Tensor:
        """Momentum projections, likewise."""
        there = seen_from(boxes, inputs.labels[self.encoded[crop]][rows])
        target = gather(pooled_regions(inputs.keys[self.keys[crop]].layers[3][rows], there))
        with torch.no_grad():
            return unit(self.head.target(target)) if len(target) > 1 else target


def common_part(one: Tensor, two: Tensor) -> Tensor:
    """(N, 4) left, top, width and height of what two boxes share; sizes of 0 where they share nothing."""
    low = torch.maximum(one[:, :2], two[:, :2])
    high = torch.minimum(one[:, :2] + one[:, 2:], two[:, :2] + two[:, 2:])
    return torch.cat([low, (high - low).clamp_min(0)], 1)


def inner_boxes(outer: Tensor, drawn: Tensor) -> Tensor:
    """(N, K, 4) boxes inside outer ones (N, 4), from uniform numbers (N, K, 4): sizes of SMALLEST to 1 of them."""
    size = SMALLEST + (1 - SMALLEST) * drawn[..., 2:]
    corner = drawn[..., :2] * (1 - size)
    return torch.cat([outer[:, None, :2] + corner * outer[:, None, 2:], size * outer[:, None, 2:]], 2)


def seen_from(boxes: Tensor, crop: Tensor) -> Tensor:
    """Boxes (N, K, 4) of the window as shares of crops (N, 5), which may be mirrored."""
    corner = (boxes[..., :2] - crop[:, None, :2]) / crop[:, None, 2:4]
    size = boxes[..., 2:] / crop[:, None, 2:4]
    left = torch.where(crop[:, None, 4] > 0, 1 - corner[..., 0] - size[..., 0], corner[..., 0])
    return torch.cat([torch.stack([left, corner[..., 1]], 2), size], 2)


def pooled_regions(activations: Tensor, boxes: Tensor) -> Tensor:
    """(N * K, C): activations (N, C, T, h, w) averaged over time and boxes (N, K, 4), by RoIAlign."""
    from torchvision.ops import roi_align

    pictures = activations.mean(2)
    scale = boxes.new_tensor([pictures.shape[3], pictures.shape[2]])
    corners = torch.cat([boxes[..., :2] * scale, (boxes[..., :2] + boxes[..., 2:]) * scale], 2).to(pictures.dtype)
    numbers = torch.arange(len(pictures), device=boxes.device, dtype=pictures.dtype)
    numbers = numbers.repeat_interleave(boxes.shape[1])[:, None]
    found: Tensor = roi_align(pictures, torch.cat([numbers, corners.flatten(0, 1)], 1), 1, aligned=True)
    return found.flatten(1)


def build(name: str, shapes: Shapes, settings: TermSettings) -> Term:
    """The term `{modality}.scrl`."""
    return ScrlTerm(modality_of(name), settings, shapes)
