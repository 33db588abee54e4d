"""The page: one HTML file that needs nothing else."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pipeline_src.report import paper, phrases, tables
from pipeline_src.report.benchmarks import cost_per_stage, total_cost
from pipeline_src.report.comparison import METHOD_NAMES, METHODS
from pipeline_src.report.drawing import Panel
from pipeline_src.report.findings import limits, transfer_findings
from pipeline_src.report.gather import RunFacts
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


@dataclass(frozen=True)
class Figures:
    """All pictures of the page, by the place where they stand."""

    results: dict[str, list[Panel]]
    agreement: dict[str, list[Panel]]
    fitness: list[Panel]
    tasks: list[Panel]
    map: list[Panel]
    distillation: list[Panel]
    final: list[Panel]
    losses: list[Panel]
    relative: list[Panel]

    def all(self) -> list[Panel]:
        """Every panel."""
        named = [panel for group in (self.results, self.agreement) for panels in group.values() for panel in panels]
        rest = (self.fitness, self.tasks, self.map, self.distillation, self.final, self.losses, self.relative)
        return [*named, *(panel for panels in rest for panel in panels)]


def draw_figures(facts: RunFacts) -> Figures:
    """Draw everything."""
    collections = list(dict.fromkeys(facts.results["collection"]))
    trained = first_models(facts)
    chosen = next((model for model in trained if model.kind == "evolved"), trained[0] if trained else None)
    return Figures(
        results={name: results_figure(facts, name) for name in collections},
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
    text = json.dumps(settings.model_dump(mode="json"), indent=2, ensure_ascii=False)
    statuses, clips = tables.clip_counts(facts.collections)
    trained = first_models(facts)
    terms = {entry.name: entry.term for entry in settings.lineup if entry.term is not None}
    by_collection = []
    for name in dict.fromkeys(facts.results["collection"]):
        own = facts.results[facts.results["collection"] == name]
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
        "several_seeds": len(settings.seeds) > 1,
        "several_runs": len(settings.seeds) > 1 or facts.results["split"].nunique() > 1,
        "paper": paper,
        "fitness_columns": tables.fitness_columns(facts),
        "fitness_rows": tables.fitness_table(facts),
        "failed_individuals": tables.failed_individuals(facts.individuals),
        "figures": figures,
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
