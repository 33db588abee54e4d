"""All individuals of the search for the page's explorer."""

import json

import pandas as pd
from markupsafe import Markup

from pipeline_src.report.gather import RunFacts

# Of a long search as many as a page can carry: the best of each generation, and the rest thinned out evenly.
MOST = 4000


def population(facts: RunFacts) -> Markup | None:
    """Terms, and generation, individual, fitness and weights of those that were trained longest, as JSON for a script.

    Returns:
        None where no individual has a fitness.
    """
    chosen = _thinned(facts.finalists)
    if chosen.empty:
        return None
    terms = sorted(facts.weights.columns)
    weights = facts.weights.loc[chosen.index, terms].round(3).to_numpy().tolist()
    rows = zip(chosen["generation"], chosen["individual"], chosen["fitness"], weights, strict=True)
    individuals = [{"g": int(g), "i": int(i), "f": round(float(f), 6), "w": w} for g, i, f, w in rows]
    text = json.dumps({"terms": terms, "individuals": individuals}, separators=(",", ":"))
    # Inside of a script element only this could end it.
    return Markup(text.replace("<", "\\u003c"))  # noqa: S704


def _thinned(finalists: pd.DataFrame) -> pd.DataFrame:
    if len(finalists) <= MOST:
        return finalists
    best = finalists.loc[finalists.groupby("generation")["fitness"].idxmax()]
    rest = finalists.drop(best.index)
    step = -(-len(rest) // max(1, MOST - len(best)))
    return pd.concat([best, rest.iloc[::step]]).sort_index()
