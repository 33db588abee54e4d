"""Collect all transfer results of a run into tables."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline_src.files import read_json, whole_file
from pipeline_src.settings.base import Settings
from pipeline_src.settings.transfer import FewerLabelsSettings, LineupEntry, ProbeSettings
from pipeline_src.shards.index import Collection
from pipeline_src.stages.command import parser, run, settings_from
from pipeline_src.transfer.answers import Answers, Truths, answers_of
from pipeline_src.transfer.results import (
    METHODS,
    collect,
    fewer_labels_table,
    kinds_of,
    probe_table,
    recall_table,
    results_in,
)
from pipeline_src.transfer.summaries import fewer_labels_summary, paired_table, rows_of_lineup, summary_table

BY_CLIP = ("predictions", "neighbours", "knn_predictions")


class StageSettings(Settings):
    """What the tables depend on: which results there are, and kinds and order of their rows."""

    lineup: tuple[LineupEntry, ...]
    seeds: tuple[int, ...]
    splits: tuple[tuple[str, int], ...]
    fewer_labels: FewerLabelsSettings
    probes: ProbeSettings


def main() -> None:
    """Parse, collect, write."""
    arguments = parser(__doc__)
    arguments.add_argument("--folder", type=Path, required=True, help="results/{run}/transfer")
    arguments.add_argument("--index", action="append", type=Path, default=[], help="index.json of a labelled set")
    arguments.add_argument("--results", required=True, help="CSV to write: top-1 of everything")
    arguments.add_argument("--summary", required=True, help="CSV to write: means with intervals")
    arguments.add_argument("--paired", required=True, help="CSV to write: rows against each other")
    arguments.add_argument("--retrieval", required=True, help="CSV to write: recall at k")
    arguments.add_argument("--fewer-labels", required=True, help="CSV to write: top-1 from a part of the labels")
    arguments.add_argument("--fewer-labels-summary", required=True, help="CSV to write: their means with intervals")
    arguments.add_argument("--probes", required=True, help="CSV to write: what embeddings tell about time")
    given = arguments.parse_args()
    settings = settings_from(given.settings, StageSettings)
    truths = Truths(Collection.open(path) for path in given.index)
    files = [f"{method}.json" for method in METHODS]
    main_results, answers = _against_truth(_read(given.folder, settings, files, baselines=True), truths)
    names = ["fewer_labels.json"] if settings.fewer_labels.linear else []
    names += [f"finetune_{labels}.json" for labels in settings.fewer_labels.finetune]
    fewer, fewer_answers = _against_truth(_read(given.folder, settings, names, baselines=False), truths)
    parts = [str(found["labels"]) for _, found in fewer]
    kinds = kinds_of(settings.lineup)
    rows = rows_of_lineup(answers, kinds)
    tables = {
        given.results: collect(main_results, settings.lineup),
        given.summary: summary_table(rows),
        given.paired: paired_table(rows),
        given.retrieval: recall_table(main_results),
        given.fewer_labels: fewer_labels_table(fewer),
        given.fewer_labels_summary: fewer_labels_summary(zip(parts, fewer_answers, strict=True), kinds),
        given.probes: probe_table(
            _read(given.folder, settings, ["probes.json"] if settings.probes.names else [], baselines=False)
        ),
    }
    for path, table in tables.items():
        with whole_file(path) as part:
            table.to_csv(part, index=False, lineterminator="\n")


def _read(
    folder: Path, settings: StageSettings, names: list[str], *, baselines: bool
) -> Iterator[tuple[str, dict[str, Any]]]:
    for collection, split in settings.splits:
        own = folder / collection / f"split_{split}"
        paths = [own / "baselines.json"] if baselines else []
        paths += [
            own / entry.name / f"seed_{seed}" / name
            for entry in settings.lineup
            for seed in settings.seeds
            for name in names
        ]
        for path in paths:
            yield str(path), read_json(path)


def _against_truth(
    files: Iterator[tuple[str, dict[str, Any]]], truths: Truths
) -> tuple[list[tuple[str, dict[str, Any]]], list[Answers]]:
    """Each result by itself, those of baselines too, and what it got right."""
    results, answers = [], []
    for path, content in files:
        for found in results_in(content):
            answers.append(answers_of(path, found, truths))
            # What there is of every clip, of all results, would fill the memory.
            results.append((path, {name: value for name, value in found.items() if name not in BY_CLIP}))
    return results, answers


if __name__ == "__main__":
    run(main)
