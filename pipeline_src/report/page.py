"""The page: one HTML file that needs nothing else."""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pipeline_src.report import captions, paper, phrases, tables
from pipeline_src.report.benchmarks import cost_per_stage, total_cost
from pipeline_src.report.comparison import METHOD_NAMES, METHODS, lineup_of
from pipeline_src.report.drawing import Panel
from pipeline_src.report.findings import limits, transfer_findings
from pipeline_src.report.gallery import gallery
from pipeline_src.report.gather import RunFacts
from pipeline_src.report.population import population
from pipeline_src.report.protocol_figures import (
    confusion_figure,
    fewer_labels_figure,
    pool_figure,
    recall_figure,
)
from pipeline_src.report.protocols import shown_entry
from pipeline_src.report.result_figures import (
    CURVED_MODELS,
    first_models,
    fitness_against_transfer,
    raw_losses,
    relative_losses,
    results_figure,
)
from pipeline_src.report.search_figures import (
    distillation_weights,
    final_weights,
    fitness_curve,
    task_weights,
    weights_map,
)
from pipeline_src.report.search_findings import fitness_findings, search_findings
from pipeline_src.report.summary import facts_list, summary

FOLDER = Path(__file__).resolve().parent
TEMPLATE = "page.html.jinja"
GALLERIES = 3


@dataclass(frozen=True)
class Figures:
    """All pictures of the page, by the place where they stand."""

    results: dict[str, list[Panel]]
    protocols: dict[str, list[Panel]]
    pool: dict[str, list[Panel]]
    confusion: dict[str, list[Panel]]
    agreement: dict[str, list[Panel]]
    fitness: list[Panel]
    tasks: list[Panel]
    map: list[Panel]
    distillation: list[Panel]
    final: list[Panel]
    losses: list[Panel]
    relative: list[Panel]

    def groups(self) -> dict[str, list[Panel]]:
        """Every panel, by the group that `captions.FIGURES` describes."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            name: panels if isinstance(panels, list) else [panel for own in panels.values() for panel in own]
            for name, panels in found.items()
        }


def draw_figures(facts: RunFacts) -> Figures:
    """Draw everything."""
    collections = list(dict.fromkeys(facts.results["collection"]))
    trained = first_models(facts)
    chosen = next((model for model in trained if model.kind == "evolved"), trained[0] if trained else None)
    return Figures(
        results={name: results_figure(facts, name) for name in collections},
        protocols={name: [*recall_figure(facts, name), *fewer_labels_figure(facts, name)] for name in collections},
        pool={name: pool_figure(facts, name) for name in collections},
        confusion={name: confusion_figure(facts, name) for name in collections},
        agreement={name: fitness_against_transfer(facts, name) for name in collections},
        fitness=fitness_curve(facts),
        tasks=task_weights(facts),
        map=weights_map(facts),
        distillation=distillation_weights(facts),
        final=final_weights(facts),
        losses=raw_losses(chosen) if chosen else [],
        relative=relative_losses(facts),
    )


def render(facts: RunFacts, figures: Figures) -> str:
    """The page as HTML. Names of clips and reasons are foreign text: everything but the figures is escaped."""
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        percent=phrases.percent,
        points=phrases.points,
        number=phrases.number,
        whole=phrases.whole,
        duration=phrases.duration,
        memory=phrases.memory,
        cell=tables.cell,
        picture=lambda panel: Markup(panel.inline),  # noqa: S704 - drawn here; its texts are escaped
    )
    return environment.get_template(TEMPLATE).render(**_context(facts, figures))


def _context(facts: RunFacts, figures: Figures) -> dict[str, Any]:
    settings = facts.settings
    script = (FOLDER / "page.js").read_text(encoding="utf-8")
    text = json.dumps(settings.model_dump(mode="json"), indent=2, ensure_ascii=False)
    statuses, clips = tables.clip_counts(facts.collections)
    trained = first_models(facts)
    terms = {entry.name: entry.term for entry in settings.lineup if entry.term is not None}
    by_collection = []
    for name in dict.fromkeys(facts.results["collection"]):
        own = lineup_of(facts.protocols.summary, name)
        by_collection.append((name, tables.results_table(own, terms), tables.floors(own)))
    return {
        "run": settings.run,
        "style": Markup((FOLDER / "page.css").read_text(encoding="utf-8")),  # noqa: S704 - our own file
        "summary": summary(facts),
        "facts": facts_list(facts),
        "settings": text,
        "settings_link": "data:application/json;base64," + base64.b64encode(text.encode()).decode(),
        "findings": transfer_findings(facts),
        "search_findings": search_findings(facts),
        "fitness_findings": fitness_findings(facts),
        "limits": limits(facts),
        "methods": [METHOD_NAMES[method] for method in METHODS],
        "results": by_collection,
        "paired": {name: tables.paired_rows(facts, name) for name, *_ in by_collection},
        "probes": {name: tables.probe_rows(facts, name) for name, *_ in by_collection},
        "confused": {
            name: found.most_confused(8) for name, found in facts.protocols.confusions.items() if found.counts.any()
        },
        "shown_entry": shown_entry(settings),
        "galleries": {name: gallery(settings, name) for name in list(facts.protocols.confusions)[:GALLERIES]},
        "population": population(facts),
        "script": Markup(script),  # noqa: S704 - our own file
        "script_hash": f"sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}",
        "probed_speeds": tables.PROBED_SPEEDS,
        "several_seeds": len(settings.seeds) > 1,
        "several_runs": len(settings.seeds) > 1 or facts.results["split"].nunique() > 1,
        "paper": paper,
        "fitness_columns": tables.fitness_columns(facts),
        "fitness_rows": tables.fitness_table(facts),
        "failed_individuals": tables.failed_individuals(facts.individuals),
        "figures": figures,
        "captions": captions.FIGURES,
        "best": facts.best,
        "paper_weights": tables.paper_weights(facts.best["weights"]) if facts.best else [],
        "losses": tables.loss_table(trained),
        "shown_model": next((m.entry for m in trained if m.kind == "evolved"), trained[0].entry if trained else ""),
        "untrained": sorted({model.entry for model in facts.models if not model.steps}),
        "more_models": max(0, sum(m.seed == settings.seeds[0] and bool(m.steps) for m in facts.models) - CURVED_MODELS),
        "statuses": statuses,
        "clips": clips,
        "failures": _failures(facts),
        "shown_failures": tables.SHOWN_FAILURES,
        "costs": cost_per_stage(facts.jobs),
        "total": total_cost(facts.jobs),
    }


def _failures(facts: RunFacts) -> Sequence[dict[str, Any]]:
    """Per collection with failed clips: its name, how many, and the first of them."""
    return [
        {
            "name": found.name,
            "count": len(found.failed),
            "rows": found.failed.head(tables.SHOWN_FAILURES).to_dict("records"),
        }
        for found in facts.collections
        if len(found.failed)
    ]
