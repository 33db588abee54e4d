"""All terms with heads small enough for tests."""

from pipeline_src.settings import catalogue
from pipeline_src.settings.learning import LossSettings

SMALL = {"hidden": 16, "size": 8, "queue": 32, "memory": 32, "clusters": 6, "prototypes": 6, "pair": 8, "boxes": 3}


def small_loss(*terms: str) -> LossSettings:
    """Settings of terms, all known ones by default."""
    chosen = terms or tuple(catalogue.terms())
    families = {catalogue.terms()[term] for term in chosen}
    tasks = {f: {key: SMALL[key] for key in catalogue.declared("task", f) if key in SMALL} for f in families}
    return LossSettings.model_validate({"terms": sorted(chosen), "tasks": tasks})
