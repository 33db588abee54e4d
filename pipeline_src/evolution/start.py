"""What a search begins with: the space that its settings leave open, and its first individuals."""

import os
from collections.abc import Mapping, Sequence

from pipeline_src.evolution.space import Space, Weights
from pipeline_src.evolution.tables import read_start
from pipeline_src.settings.search import StrategySettings


def space_of(search: StrategySettings, terms: Sequence[str], known: Mapping[str, float] | None) -> Space:
    """The space of a search.

    Args:
        search: its settings.
        terms: names of all weights.
        known: weights that frozen terms have: of the start table's best individual, or of any of this search.
    """
    fixed = {
        term: (known or {})[term] if weight is None else weight for term, weight in search.fixed_terms(terms).items()
    }
    return Space(terms, fixed, search.floor if search.scale == "log" else None)


def first_individuals(
    search: StrategySettings, terms: Sequence[str], table: str | os.PathLike[str] | None
) -> list[Weights]:
    """Individuals that generation 0 begins with: none, each searched term alone, or those of a table.

    Raises:
        UserError: as `read_start`.
    """
    if table is not None:
        frozen = [term for term, weight in search.fixed_terms(terms).items() if weight is None]
        return read_start(table, terms, frozen)
    if search.start != "one_hot":
        return []
    space = space_of(search, terms, None)
    return [{**dict.fromkeys(space.terms, 0.0), term: 1.0} for term in space.searched]
