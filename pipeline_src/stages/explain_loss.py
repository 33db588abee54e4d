"""What a configuration's loss consists of and what it will take, before anyone spends a GPU-hour on it.

    python -m pipeline_src.stages.explain_loss --configfile config/examples/paper.yaml
    python -m pipeline_src.stages.explain_loss --configfile my.yaml --entry moco
    python -m pipeline_src.stages.explain_loss --list

Nothing is trained, and no clip is read; no rule calls it.
"""

import argparse
from pathlib import Path

from pipeline_src.errors import UserError
from pipeline_src.files import read_json
from pipeline_src.loss.engine import EvolvedLoss
from pipeline_src.loss.explain import MEBIBYTE, LossCost, cost_of
from pipeline_src.settings import catalogue
from pipeline_src.settings.learning import TrainingSettings
from pipeline_src.settings.run import RunSettings, load_settings
from pipeline_src.settings.transfer import LineupEntry
from pipeline_src.stages.command import run as run_stage
from pipeline_src.stages.config_file import DEFAULT_CONFIG, read_config


def main() -> None:
    """Print the list or the explanation."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument(
        "--configfile", type=Path, nargs="+", help="as for snakemake (default: config/config.yaml)", metavar="FILE"
    )
    options.add_argument("--list", action="store_true", help="print every known term with its source")
    which = options.add_mutually_exclusive_group()
    which.add_argument("--weights", type=Path, help="weights.json of an individual or a model; default: all terms")
    which.add_argument("--entry", help="name of a lineup entry with a term of its own, in loss.terms or not")
    options.add_argument("--training", choices=("proxy", "final"), default="final", help="which schedule's batch")
    given = options.parse_args()
    if given.list:
        print(known_terms())
        return
    settings = load_settings(read_config(given.configfile or [DEFAULT_CONFIG]))
    weights = dict.fromkeys(settings.loss.terms, 1.0)
    if given.weights is not None:
        weights = read_weights(given.weights, settings)
    if given.entry is not None:
        entry = entry_of(settings, given.entry)
        settings = settings.model_copy(update={"loss": settings.loss_of(entry)})
        weights = {str(entry.term): 1.0}
    print(explain(settings, weights, getattr(settings, given.training)))


def known_terms() -> str:
    """Every term with its group and source."""
    lines = []
    for family in sorted(catalogue.names("task"), key=lambda name: (catalogue.group(name) != "elo", name)):
        bound = ", reads labels" if catalogue.reads_labels(family) else ""
        lines.append(f"{family} ({catalogue.group(family)}{bound}): {catalogue.source(family)}")
        lines += [f"    {term}" for term, owner in catalogue.terms().items() if owner == family]
    return "\n".join(lines)


def entry_of(settings: RunSettings, name: str) -> LineupEntry:
    """The lineup's entry of that name, which has a term of its own.

    Raises:
        UserError: there is none.
    """
    known = [entry for entry in settings.lineup if entry.term is not None]
    for entry in known:
        if entry.name == name:
            return entry
    allowed = ", ".join(entry.name for entry in known) or "none of this lineup has one"
    raise UserError(f"--entry: {name!r} - allowed: entries with a term of their own: {allowed}")


def read_weights(path: Path, settings: RunSettings) -> dict[str, float]:
    """The weights in a file, all of terms of the configuration.

    Raises:
        UserError: a missing file, or another run's.
    """
    if not path.is_file():
        raise UserError(f"--weights: {str(path)!r} - no such file; allowed: a weights.json of this run")
    found = read_json(path)
    if not isinstance(found, dict) or not set(found) <= set(settings.loss.terms):
        raise UserError(f"{path}: terms that loss.terms does not have - allowed: a weights.json of this run")
    for name, value in found.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise UserError(f"{path}: {name}: {value!r} - allowed: a number from 0 to 1")
    return {str(name): float(value) for name, value in found.items()}


def explain(settings: RunSettings, weights: dict[str, float], training: TrainingSettings) -> str:
    """The whole text.

    Args:
        settings: the configuration.
        weights: which terms are active.
        training: whose batch and optimiser count.
    """
    window = settings.window
    columns = round(window.frames / settings.decode.frame_rate / settings.audio.hop_s)
    audio = "audio" in settings.collections["pool"].modalities
    spectrogram = (columns, settings.audio.mels) if audio else None
    loss = EvolvedLoss(
        weights=weights,
        scales={},
        loss=settings.loss,
        network=settings.network,
        window=window,
        statistics={},
        spectrogram=spectrogram,
        seed=settings.seed,
    )
    terms = {name: _views(loss, name) for name in loss.weights}
    cost = cost_of(loss, settings.network, window, spectrogram)
    encoded, keys = len(loss.encoded), len(loss.keys)
    wide = max(map(len, terms), default=0)
    size = f"{window.frames} frames of {window.crop} x {window.crop}"
    audio_size = f", sound {columns} x {settings.audio.mels}" if audio else ""
    lines = [
        f"{len(terms)} terms share {encoded} encoded views{f' and {keys} momentum keys' if keys else ''}"
        f" of windows of {size}{audio_size}.",
        "",
        *(f"{name:{wide}}  {', '.join(views)}" for name, views in terms.items()),
        "",
        *_costs(cost),
        "",
        *_memory(cost, training),
    ]
    return "\n".join(lines)


def _views(loss: EvolvedLoss, name: str) -> list[str]:
    term = loss.terms[name]
    found = [str(view) for view in term.encoded] + [f"{key.view} (momentum)" for key in term.keys]
    return found + [f"paints {view}" for view in term.targets]


def _costs(cost: LossCost) -> list[str]:
    lines = [f"{'encoder':10} {'parameters':>12} {'views':>6} {'GFLOPs a clip, forward':>24}"]
    for modality, found in cost.modalities.items():
        lines.append(f"{modality:10} {found.parameters:12,} {found.views:6} {found.flops / 1e9:24.2f}")
    lines.append(f"{'heads':10} {cost.heads:12,} {'':6} {cost.decoder_flops / 1e9:24.2f}")
    lines.append(f"A step takes about {cost.flops / 1e9:,.1f} GFLOPs a clip, gradients included.")
    return lines


def _memory(cost: LossCost, training: TrainingSettings) -> list[str]:
    parts = cost.memory(training)
    clips = training.batch_size // training.processes
    shared = f", a share of {training.batch_size}" if training.processes > 1 else ""
    lines = [f"Memory of a process with {clips} clips a batch{shared}, in MiB:"]
    lines += [f"  {name:26} {size / MEBIBYTE:10,.0f}" for name, size in parts.items()]
    lines.append(f"  {'together, about':26} {sum(parts.values()) / MEBIBYTE:10,.0f}")
    return lines


if __name__ == "__main__":
    run_stage(main)
