"""The README.md of an exported encoder: what it was trained on, what it does, how to use it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from pipeline_src.embedding.clip_format import ClipFormat
from pipeline_src.report.comparison import why_no_interval
from pipeline_src.report.phrases import several
from pipeline_src.settings.learning import TrainingSettings

METHODS = {
    "kmeans": "k-means",
    "linear": "one layer",
    "finetune": "fine-tuned",
    "retrieval": "nearest neighbour",
    "knn": "vote of the nearest",
}


@dataclass(frozen=True)
class TrainingData:
    """What a model was trained on.

    Attributes:
        collection: its name.
        kind: where its videos came from: folder, list, youtube or world.
        clips, videos: how many.
        hours: of all clips together.
        labelled: whether labels were used.
    """

    collection: str
    kind: str
    clips: int
    videos: int
    hours: float
    labelled: bool


def model_card(
    *,
    run: str,
    entry: str,
    kind: str,
    seeds: Sequence[int],
    data: TrainingData,
    training: TrainingSettings,
    weights: Mapping[str, float],
    format: ClipFormat,
    revision: str,
    results: pd.DataFrame,
    pretrained: str | None = None,
) -> str:
    """The text, Markdown.

    Args:
        run, entry, kind: which model.
        seeds: that it was trained with; the first one's is exported.
        data, training, weights: what it learned from, and how; no weight above 0 means that it learned nothing.
        format: of its input.
        revision: of the code.
        results: as `transfer.summaries.summary_table` gives it, of this entry; empty where nothing was evaluated.
        pretrained: name or file of the weights that others trained; then data, training and weights are not told.
    """
    if pretrained is None:
        about, rows, loss, licence = _trained_here(kind, seeds, data, training, weights)
    else:
        about, rows, loss, licence = _trained_elsewhere(pretrained)
    parts = [
        f"# Video encoder `{entry}` of run `{run}`",
        f"RGB windows to vectors of {format.embedding_size} numbers. {about}",
        "## Training",
        _table(("", ""), [*rows, ("architecture", f"`{format.architecture}`"), ("code", f"`{revision}`")]),
        loss,
        "## Input",
        _input(format),
        "## Transfer",
        _results(results),
        "## Use",
        _use(format),
        "## Intended use and limits",
        "For research on video representations: search, clustering, and as a start for training a classifier. It sees"
        f" {format.frames / format.frame_rate:.2g} s at a time, pictures only and no sound, and knows motion and"
        " appearance like those of its training clips; whatever is rare or one-sided there is so here. It was not"
        " tested for recognising people or for decisions about them, and should not be used for either.",
        "## Licence",
        f"The code that made this file is under the MIT licence. {licence}. Check them before you pass the weights on.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _trained_here(
    kind: str, seeds: Sequence[int], data: TrainingData, training: TrainingSettings, weights: Mapping[str, float]
) -> tuple[str, list[tuple[str, str]], str, str]:
    """A sentence, rows of the table of training, the weights of the loss, and whose terms hold."""
    trained = {term: weight for term, weight in weights.items() if weight > 0}
    how = "with labels" if data.labelled else "without labels"
    about = f"Trained {how}; its weights of the loss were found as kind `{kind}` of the lineup says."
    steps = training.iterations if trained else 0
    rows = [
        ("collection", f"`{data.collection}` ({data.kind})"),
        ("clips", f"{data.clips:,} of {data.videos:,} videos, {_hours(data.hours)}"),
        ("steps", f"{steps:,} of {training.batch_size} clips, {training.optimiser}"),
        ("seed", f"{seeds[0]}, the first of {', '.join(map(str, seeds))}"),
    ]
    licence = (
        f"What you may do with the weights also depends on the terms of the videos in `{data.collection}`, which this"
        " run does not know"
    )
    if not trained:
        about = "Not trained: as it was initialised, for comparison."
        return about, rows, "No term of the loss has a weight above 0.", licence
    return about, rows, f"Weights of the loss:\n\n{_weights(trained)}", licence


def _trained_elsewhere(pretrained: str) -> tuple[str, list[tuple[str, str]], str, str]:
    """As _trained_here, of weights that others trained."""
    return (
        f"Not trained by this run: its weights are `{pretrained}`, for comparison.",
        [("weights", f"`{pretrained}`")],
        "What they were trained on, and how, say those who made them.",
        f"For the weights, the licence that `{pretrained}` came with counts, and the terms of the videos that they were"
        " trained on",
    )


def _hours(hours: float) -> str:
    return f"{hours:.1f} hours" if hours >= 1 else f"{hours * 60:.1f} minutes"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _weights(weights: Mapping[str, float]) -> str:
    ordered = sorted(weights.items(), key=lambda pair: (-pair[1], pair[0]))
    return _table(("term", "weight"), [(f"`{term}`", f"{weight:.3f}") for term, weight in ordered])


def _input(format: ClipFormat) -> str:
    fit = "cut to these proportions, then scaled" if format.fit == "crop" else "stretched"
    stored = f"stored as JPEG of quality {format.jpeg_quality}, 4:2:2" if format.codec == "jpeg" else "without losses"
    mean, std = (", ".join(f"{value:.2f}" for value in values) for values in (format.mean, format.std))
    rows = [
        ("frames per second", f"{format.frame_rate:g}"),
        ("frame", f"{format.height} x {format.width} pixels, {fit}, {stored}"),
        ("window", f"{format.frames} frames, the middle {format.crop} x {format.crop} pixels"),
        ("short clips", "repeated" if format.padding == "loop" else "their last frame held"),
        ("values", f"RGB of 0 to 255, minus {mean}, divided by {std}; the module does it"),
        ("clip", f"the mean over {format.windows} windows spread evenly"),
    ]
    return _table(("", ""), rows)


def _results(results: pd.DataFrame) -> str:
    known = results[results["mean"].notna()]
    if known.empty:
        return "Not evaluated: this run has no labelled collection, or no result."
    rows = []
    for row in known.to_dict("records"):
        none = why_no_interval(row["source_videos"]) if pd.isna(row["low"]) else ""
        interval = none or f"{100 * row['low']:.1f} to {100 * row['high']:.1f}"
        splits = f"{row['splits']} of {row['all_splits']}" if row["splits"] < row["all_splits"] else str(row["splits"])
        counted = [str(row["seeds"]), splits, str(row["clips"]), str(row["source_videos"])]
        method, chance = METHODS[row["method"]], f"{100 * row['floor']:.1f}"
        rows.append((row["collection"], method, f"{100 * row['mean']:.1f}", interval, chance, *counted))
    head = ("collection", "method", "top-1 %", "95 % interval", "chance %", "seeds", "splits", "test clips", "videos")
    shown = known[known["low"].notna()]
    several_seeds = (known if shown.empty else shown)["seeds"] > 1
    about = "Means over splits and, within each, over seeds. Intervals are of the source videos that are tested on"
    if several_seeds.all():
        about += " and of the seeds."
    elif several_seeds.any():
        about += " and, where a row has several, of the seeds."
    else:
        about += "; how much the luck of a training adds was not measured."
    failed = (
        f" {several(int(results['failed'].sum()), 'evaluation')} gave no result." if results["failed"].any() else ""
    )
    return f"{_table(head, rows)}\n\n{about} Chance: guessing, or the most frequent class where that is more.{failed}"


def _use(format: ClipFormat) -> str:
    return f"""In a clone of the project that made it, with torch, torchvision, safetensors and PyAV:

```
python -m pipeline_src.stages.embed_videos VIDEOS --encoder THIS_FOLDER out.npz
```

```python
import torch

encoder = torch.hub.load("path/of/clone", "rgb_encoder", source="local", run="THIS_FOLDER")
frames = torch.zeros(1, 3, {format.frames}, {format.crop}, {format.crop}, dtype=torch.uint8)  # RGB, 0 to 255
embedding = encoder(frames)  # (1, {format.embedding_size})
```"""
