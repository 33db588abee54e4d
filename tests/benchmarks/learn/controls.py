"""Controls: the same training with what the term should learn from taken away, and all else left as it was.

disordered  videos whose pictures were put into a random order before they were encoded, with even noise for a sound
steady      videos that move without an arrow of time, with even noise for a sound
scrambled   each view's pictures in a random order: two disordered pictures still have a flow that fits the next
frozen      each view is its first picture throughout
blank       each clip's pictures are its mean colour
mismatched  what belongs together comes from different clips
displaced   each time step's colours lie at random places
labels      classes are dealt to clips at random
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn import functional

from pipeline_src.batches.draws import generator, number
from pipeline_src.networks.encoder import Features
from pipeline_src.settings import catalogue
from pipeline_src.tasks.term import Inputs, Term

Kind = TypeVar("Kind")

POOLS = ("disordered", "steady")
BY_FAMILY = {
    **dict.fromkeys(("shuffle", "speed", "pace", "transrank"), "disordered"),
    **dict.fromkeys(("shuffle_and_learn", "order_sorting", "slow_steady", "tcn"), "disordered"),
    "backward": "steady",
    # Sub-clips of one window tell the odd one by the order that the others share, whatever order it is.
    **dict.fromkeys(("temporal_transformations", "odd_one_out"), "frozen"),
    **dict.fromkeys(("rotation", "aspect_ratio", "jigsaw", "relative_position"), "blank"),
    **dict.fromkeys(("reconstruct", "future", "translate", "align", "embed", "distill"), "mismatched"),
    **dict.fromkeys(("denoise", "masked", "gradient_difference", "slow_sparse", "l3", "avts"), "mismatched"),
    **dict.fromkeys(("moco", "rho_moco", "simclr", "rho_simclr", "rho_byol", "simsiam"), "mismatched"),
    "cycle_consistency": "mismatched",
    **dict.fromkeys(("rho_swav", "sela", "coclr", "scrl", "decoupling"), "mismatched"),
    # On blank pictures, and of other clips whose colours stay where they were, copying is right whatever was learned.
    "track_colours": "displaced",
    "ubernce": "labels",
    "supervised": "labels",
}
BY_TERM = {"flow.shuffle": "scrambled"}


def control_of(term: str) -> str:
    """The control of a term; a new family needs one here."""
    return BY_TERM.get(term, BY_FAMILY[catalogue.terms()[term]])


def scrambled(batch: Mapping[str, Tensor], step: int) -> dict[str, Tensor]:
    """A batch whose views show their pictures in a random order."""
    changed = dict(batch)
    for name, x in batch.items():
        if x.dim() == 5:
            orders = torch.rand(x.shape[:2], generator=generator(step, "scrambled", name)).argsort(1)
            changed[name] = torch.stack([clip[order] for clip, order in zip(x, orders, strict=True)])
    return changed


def frozen(batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A batch whose views show their first picture throughout."""
    return {name: x[:, :1].expand_as(x).contiguous() if x.dim() == 5 else x for name, x in batch.items()}


def blank(batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A batch whose pictures are all of one colour, their clip's mean."""
    changed = dict(batch)
    for name, stored in batch.items():
        if name.split(".")[0] in ("rgb", "grey") and stored.dim() == 5:
            mean = stored.float().mean((1, 2, 3), keepdim=True)
            changed[name] = mean.round().to(torch.uint8).expand_as(stored).contiguous()
    return changed


def mislabelled(batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A batch whose clips have classes that nothing but their number decides."""
    classes = torch.tensor([number("class", int(clip)) % 8 for clip in batch["clip"]])
    return {**batch, "class": classes}


def mismatched(term: Term, inputs: Inputs) -> Inputs:
    """Inputs of which only the first view's are in their places: all other views are of other clips, each by itself."""
    first, *others = term.encoded
    features = {first: inputs.features[first]}
    for view in others:
        features[view] = _elsewhere(inputs.features[view], inputs, str(view))
    return replace(
        inputs,
        features={**inputs.features, **features},
        keys={key: _elsewhere(found, inputs, f"key {key.view}") for key, found in inputs.keys.items()},
        targets={
            view: x[_order(len(x), len(inputs.videos), inputs, f"target {view}")] for view, x in inputs.targets.items()
        },
    )


def displaced(term: Term, inputs: Inputs) -> Inputs:
    """Inputs whose target has each time step's places in a random order, at the resolution that the term compares."""
    (view,) = term.targets
    compared = inputs.features[term.encoded[0]].layers[term.layer].shape[2:]  # type: ignore[index]
    x = functional.adaptive_avg_pool3d(inputs.targets[view], compared)  # type: ignore[arg-type]
    random = generator(*inputs.seed, "displaced", str(view))
    order = torch.rand(len(x), 1, x.shape[2], compared[1] * compared[2], generator=random).argsort(3)
    moved = x.flatten(3).gather(3, order.expand(x.flatten(3).shape)).view_as(x)
    return replace(inputs, targets={**inputs.targets, view: moved})


def _elsewhere(features: Features, inputs: Inputs, name: str) -> Features:
    rows = len(features.layers[0])
    clips = len(inputs.videos) if features.rows is None else len(features.rows)
    order = _order(rows, clips, inputs, name)
    a, b, c, d = (layer[order] for layer in features.layers)
    return Features((a, b, c, d), features.rows, features.all_rows)


def _order(rows: int, clips: int, inputs: Inputs, name: str) -> Tensor:
    """Rows of other clips: a clip's rows stay together, no clip stays in its place."""
    if clips < 2 or rows == 0:
        return torch.arange(rows)
    each = rows // clips if rows >= clips else 1
    count = rows // each
    random = generator(*inputs.seed, "mismatched", name)
    order = torch.randperm(count, generator=random)
    # One cycle through all clips in a random order.
    moved = torch.empty_like(order)
    moved[order] = order.roll(1)
    return (moved[:, None] * each + torch.arange(each)).flatten()
