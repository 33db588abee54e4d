"""Scales that make terms comparable: raw losses differ by orders of magnitude while weights live in [0, 1]."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from statistics import median

import torch
from torch import Tensor

from pipeline_src.errors import UserError
from pipeline_src.loss.engine import EvolvedLoss
from pipeline_src.networks.encoder import Features
from pipeline_src.tasks.term import Inputs, Term


def gradient_norms(loss: EvolvedLoss, batches: Iterable[Mapping[str, Tensor]]) -> dict[str, list[float]]:
    """Per term and batch, the norm of the term's gradient at what the encoders hand out.

    That is the activations of their layers, of which the last is averaged to the embedding. The network is untrained
    and stays so.

    Args:
        loss: with all terms of the search space active.
        batches: on the loss's device.
    """
    norms: dict[str, list[float]] = {name: [] for name in loss.terms}
    for step, batch in enumerate(batches):
        with torch.no_grad():
            inputs = loss.inputs(batch, step)
        for name, term in loss.terms.items():
            norm = _norm(term, inputs)
            if norm is not None:
                norms[name].append(norm)
    return norms


def scales(norms: Mapping[str, list[float]]) -> dict[str, dict[str, float]]:
    """Per term its median norm and the scale 1 / median.

    Raises:
        UserError: a term that no batch could feed, or whose gradient is zero or not finite.
    """
    found = {}
    for name, values in norms.items():
        middle = median(values) if values else 0.0
        if not 0 < middle < float("inf"):
            lacking = "no batch had clips for it (terms need sound, or clips as long as their windows and speeds)"
            why = f"it is {middle}" if values else lacking
            raise UserError(
                f"loss.terms: {name} - its gradient on the untrained network must be above 0, but {why};"
                " remove the term, or set loss.calibrate to false"
            )
        found[name] = {"median_gradient_norm": middle, "scale": 1 / middle}
    return found


def _norm(term: Term, inputs: Inputs) -> float | None:
    leaves: list[Tensor] = []
    features = {}
    for view in term.encoded:
        layers = tuple(layer.detach().requires_grad_() for layer in inputs.features[view].layers)
        leaves.extend(layers)
        features[view] = Features(layers, inputs.features[view].rows)  # type: ignore[arg-type]
    value = term(replace(inputs, features=features))
    if value is None:
        return None
    gradients = torch.autograd.grad(value, leaves, allow_unused=True)
    lengths = [gradient.double().norm() for gradient in gradients if gradient is not None]
    return float(torch.stack(lengths).norm())
