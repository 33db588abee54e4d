"""Weights that nobody searched for, to stand beside every search."""

from collections.abc import Sequence

from pipeline_src.evolution.space import Weights


def control_weights(terms: Sequence[str], alone: Sequence[str]) -> dict[str, Weights]:
    """Controls by name: `uniform`, weight 1 for every term, then `only {term}` for each of `alone`."""
    ordered = sorted(terms)
    single = {f"only {one}": {term: float(term == one) for term in ordered} for one in alone}
    return {"uniform": dict.fromkeys(ordered, 1.0), **single}
