"""Views through an encoder: one pass for all views of one shape."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from pipeline_src.batches.views import View
from pipeline_src.networks.encoder import Features

Rows = tuple[Tensor, Tensor]


def encode(encoder: nn.Module, clips: Mapping[View, Tensor], rows: Rows | None) -> dict[View, Features]:
    """Features of views.

    Args:
        encoder: of their modality.
        clips: of each view, (N * K, C, ...), in the order in which they shall be encoded.
        rows: which clips have this modality, of this process's and of the whole batch's; None for all.
    """
    found: dict[View, Features] = {}
    shapes = sorted({tuple(view.shape[1:]) for view in clips.values()}, reverse=True)
    for shape in shapes:
        alike = {view: x for view, x in clips.items() if tuple(x.shape[1:]) == shape}
        found.update(_encode_alike(encoder, alike, rows))
    return found


def _encode_alike(encoder: nn.Module, clips: Mapping[View, Tensor], rows: Rows | None) -> dict[View, Features]:
    views = list(clips)
    sizes = tuple(len(clips[view]) for view in views)
    if rows is not None and len(rows[1]) == 0:
        return dict.fromkeys(views, _nothing(encoder, clips[views[0]], rows))
    layers = encoder(torch.cat([clips[view] for view in views]), sizes, plain=views[0].transform == "plain")
    parts = [layer.split(sizes) for layer in layers]
    mine, everyone = rows if rows is not None else (None, None)
    return {
        view: Features((parts[0][i], parts[1][i], parts[2][i], parts[3][i]), mine, everyone)
        for i, view in enumerate(views)
    }


def _nothing(encoder: nn.Module, clips: Tensor, rows: Rows) -> Features:
    """Features of no clip, of the right shapes."""
    training = encoder.training
    with torch.no_grad():
        a, b, c, d = (layer[:0] for layer in encoder.eval()(clips.new_zeros((1, *clips.shape[1:]))))
    encoder.train(training)
    return Features((a, b, c, d), *rows)
