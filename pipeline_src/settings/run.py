"""The whole configuration of a run, checked before anything runs."""

import itertools
import math
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from pipeline_src.errors import UserError
from pipeline_src.settings import catalogue
from pipeline_src.settings.base import Settings, describe_error
from pipeline_src.settings.clips import CollectionSettings, DecodeSettings, FetchSettings
from pipeline_src.settings.export_limits import RANGES, most_windows
from pipeline_src.settings.features import AudioSettings, FlowSettings
from pipeline_src.settings.learning import LossSettings, NetworkSettings, TrainingSettings, WindowSettings
from pipeline_src.settings.search import FitnessSettings, SearchSettings
from pipeline_src.settings.transfer import LineupEntry, TransferSettings

NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$"
ROOT = r"^[^{}*?\n]+$"
EVOLVED = ("evolved", "evolved_without_distillation", "evolved_permuted")


class RunSettings(Settings):
    """Everything that a configuration file can say."""

    run: str = Field("run", pattern=NAME, description="name of the run: its results go to results_root/run")
    seed: int = Field(0, ge=0, lt=2**31, description="every random choice derives from it")
    data_root: str = Field("data", pattern=ROOT, description="folder of collections")
    results_root: str = Field("results", pattern=ROOT, description="folder of runs")
    torch_threads: int = Field(
        1, ge=1, le=256, description="CPU threads of a training job; part of the result, so never the job's cores"
    )
    redo_hours: float = Field(
        4.0,
        ge=0,
        description="hours of finished jobs that a run may do again after a change; for more it stops and asks",
    )
    collections: dict[str, CollectionSettings] = Field(
        min_length=1, description="sets of clips by name; `pool` is the unlabelled one that networks learn from"
    )
    fetch: FetchSettings = FetchSettings()
    decode: DecodeSettings = DecodeSettings()
    flow: FlowSettings = Field(default_factory=lambda: FlowSettings.model_validate({}))
    audio: AudioSettings = AudioSettings()
    window: WindowSettings = WindowSettings()
    network: NetworkSettings = NetworkSettings()
    loss: LossSettings = Field(default_factory=lambda: LossSettings.model_validate({}))
    proxy: TrainingSettings = Field(
        TrainingSettings(iterations=500), description="the short training of an individual of the search"
    )
    final: TrainingSettings = Field(
        TrainingSettings(iterations=5000), description="the long training of a lineup entry"
    )
    search: SearchSettings = Field(default_factory=lambda: SearchSettings.model_validate({}))
    fitness: FitnessSettings = FitnessSettings()
    lineup: tuple[LineupEntry, ...] = Field(
        (LineupEntry(name="evolved", kind="evolved"), LineupEntry(name="scratch", kind="scratch")),
        min_length=1,
        description="rows of the results table",
    )
    seeds: tuple[Annotated[int, Field(ge=0, lt=2**31)], ...] = Field(
        (0,), min_length=1, description="seeds that each lineup entry is trained with"
    )
    transfer: TransferSettings = TransferSettings()

    @property
    def searches(self) -> tuple[str, ...]:
        """The searches of the run: its own, and one by random weights where the lineup compares with that."""
        compared = any(entry.kind == "best_of_random" for entry in self.lineup)
        return ("search", "random") if compared else ("search",)

    @property
    def used_collections(self) -> tuple[str, ...]:
        """The pool, then the labelled collections that the evaluation, the weak fitness or an upper bound uses."""
        weak = [self.fitness.weak.collection] if self.fitness.weak else []
        bounds = [entry.collection for entry in self.lineup if entry.collection is not None]
        return ("pool", *sorted({*self.transfer.collections, *weak, *bounds}))

    def loss_of(self, entry: LineupEntry) -> LossSettings:
        """What an entry is trained with: the search's terms, or the one of its own that the search does not have."""
        if entry.term is None or entry.term in self.loss.terms:
            return self.loss
        family = catalogue.terms()[entry.term]
        return LossSettings.model_validate({"terms": [entry.term], "tasks": {family: entry.settings}})

    def final_of(self, entry: LineupEntry) -> TrainingSettings:
        """How long an entry is trained: with a part of the pool as long, or as many epochs."""
        if entry.pool_fixed == "iterations":
            return self.final
        return self.final.model_copy(update={"iterations": max(1, round(entry.pool_fraction * self.final.iterations))})

    @model_validator(mode="after")
    def _consistent(self) -> "RunSettings":
        _check_collections(self)
        _check_window(self)
        _check_export(self)
        _check_terms(self)
        _check_references(self)
        return self


def load_settings(values: dict[str, Any]) -> RunSettings:
    """Validate a configuration.

    Raises:
        UserError: one line that names each wrong setting, its value and what is allowed.
    """
    known = {"": list(RunSettings.model_fields)}
    for name, field in RunSettings.model_fields.items():
        model = field.annotation
        if isinstance(model, type) and issubclass(model, Settings):
            known[name] = list(model.model_fields)
    try:
        return RunSettings.model_validate(values)
    except ValidationError as error:
        raise UserError(f"config: {describe_error(error, known)}") from error


def _check_collections(run: RunSettings) -> None:
    import re

    if "pool" not in run.collections:
        raise ValueError("collections.pool: missing; it is the set of clips that networks learn from")
    if run.collections["pool"].labelled:
        raise ValueError("collections.pool.source: labelled - allowed: a source without labels")
    for name, collection in run.collections.items():
        if not re.match(NAME, name):
            raise ValueError(f"collections: {name!r} - allowed: letters, digits, _ and -")
        if collection.labelled and collection.split_count == 0:
            raise ValueError(
                f"collections.{name}.splits: missing; a labelled set needs split columns or random splits,"
                " such as {count: 1, test: 0.3}"
            )
        own = getattr(collection.source, "split_columns", ()) or collection.source.kind in ("world", "benchmark")
        if collection.labelled and own and collection.splits is not None:
            raise ValueError(f"collections.{name}.splits: given for a set with splits of its own - allowed: nothing")
        if not collection.labelled and collection.splits is not None:
            raise ValueError(f"collections.{name}.splits: given for a set without labels - allowed: nothing")


def _check_window(run: RunSettings) -> None:
    shortest = min(run.decode.height, run.decode.width)
    if run.window.crop > shortest:
        raise ValueError(f"window.crop: {run.window.crop} - allowed: at most {shortest}, the decoded frame size")
    if run.window.crop % run.network.decoder_stride:
        raise ValueError(
            f"network.decoder_stride: {run.network.decoder_stride} - allowed: a divisor of window.crop"
            f" {run.window.crop}"
        )


def _check_export(run: RunSettings) -> None:
    """What no export can hold is told before anything is trained."""
    for name in sorted(RANGES.keys() & DecodeSettings.model_fields.keys()):
        value, (low, high) = getattr(run.decode, name), RANGES[name]
        if not low <= value <= high:
            raise ValueError(f"decode.{name}: {value:.10g} - allowed: {low:g} to {high:.10g}")
    frames, crop, windows = run.window.frames, run.window.crop, run.transfer.embed.windows
    if windows > (most := most_windows(frames, crop)):
        raise ValueError(
            f"transfer.embed.windows: {windows} - allowed: at most {most} of {frames}x{crop}x{crop} pixels, as those of"
            " a clip are held together"
        )


def _check_terms(run: RunSettings) -> None:
    have = run.collections["pool"].modalities
    searched = [(term, f"loss.terms: {term}") for term in run.loss.terms]
    single = [(entry.term, f"lineup.{entry.name}.term: {entry.term}") for entry in run.lineup if entry.kind == "single"]
    for term, where in [*searched, *single]:
        if term is None:
            continue
        if catalogue.reads_labels(catalogue.terms()[term]):
            raise ValueError(f"{where} - it learns from labels; allowed: as the term of an entry of kind upper_bound")
        for modality in catalogue.modalities_of(term):
            if modality not in have:
                raise ValueError(
                    f"collections.pool.modalities: {', '.join(have)} - must include {modality}, which the term"
                    f" {term} uses"
                )
    for term, where in [*searched, *((entry.term, f"lineup.{entry.name}.term: {entry.term}") for entry in run.lineup)]:
        if term is not None and run.window.frames < (needed := catalogue.minimum_frames(catalogue.terms()[term])):
            raise ValueError(f"{where} - it needs window.frames of at least {needed}, found {run.window.frames}")
    for entry in run.lineup:
        if entry.settings and entry.term in run.loss.terms:
            raise ValueError(
                f"lineup.{entry.name}.settings: given for a term that loss.terms includes - allowed: loss.tasks instead"
            )
    _check_upper_bounds(run)
    run.search.controls_of(run.loss.terms)
    fixed = run.search.fixed_terms(run.loss.terms)
    left = len(run.loss.terms) - len(fixed)
    if left == 0:
        raise ValueError("search.fixed, search.frozen: all of loss.terms - allowed: at least one term is searched")
    if run.search.start == "one_hot" and run.search.population < left:
        raise ValueError(
            f"search.population: {run.search.population} - allowed: at least {left}, the terms that are searched,"
            " for search.start one_hot"
        )
    if run.search.strategy == "grid":
        points = run.search.settings["levels"] ** left
        sizes = [run.search.population_of(number) for number in range(run.search.generations)]
        begun = sum(before < points for before in itertools.accumulate(sizes[:-1], initial=0))
        if begun < len(sizes):
            raise ValueError(
                f"search.generations: {len(sizes)} - allowed: at most {begun}, after which all {points} points of the"
                " grid are visited"
            )


def _check_upper_bounds(run: RunSettings) -> None:
    labelled = {name: c for name, c in run.collections.items() if c.labelled}
    allowed = ", ".join(labelled) or "none is configured"
    for entry in run.lineup:
        if entry.kind != "upper_bound":
            continue
        where = f"lineup.{entry.name}.collection: {entry.collection!r}"
        if entry.collection not in labelled:
            raise ValueError(f"{where} - allowed: labelled collections: {allowed}")
        if labelled[entry.collection].split_count > 1:
            raise ValueError(
                f"{where} - training clips of one split are test clips of another; allowed: a set with one split"
            )


def _check_references(run: RunSettings) -> None:
    if run.proxy.processes > 1:
        raise ValueError(
            f"proxy.processes: {run.proxy.processes} - allowed: 1; individuals train side by side, only final is shared"
        )
    drawn = [entry.kind for entry in run.lineup if entry.kind in ("random", "best_of_random")]
    if drawn and run.search.frozen:
        raise ValueError(f"lineup: kind {drawn[0]} - allowed: only without search.frozen")
    names = [entry.name for entry in run.lineup]
    if len(set(names)) != len(names):
        raise ValueError(f"lineup: {', '.join(names)} - allowed: each name once")
    if len(set(run.seeds)) != len(run.seeds):
        raise ValueError(f"seeds: {list(run.seeds)} - allowed: each seed once")
    if len(set(run.transfer.collections)) != len(run.transfer.collections):
        raise ValueError(f"transfer.collections: {', '.join(run.transfer.collections)} - allowed: each name once")
    labelled = {name: c for name, c in run.collections.items() if c.labelled}
    allowed = ", ".join(labelled) or "none is configured"
    for name in run.transfer.collections:
        if name not in labelled:
            raise ValueError(f"transfer.collections: {name!r} - allowed: labelled collections: {allowed}")
    weak = run.fitness.weak
    if weak is not None:
        if weak.collection not in labelled:
            raise ValueError(f"fitness.weak.collection: {weak.collection!r} - allowed: labelled collections: {allowed}")
        splits = labelled[weak.collection].split_count
        if run.fitness.measure != "zipf" and splits > 1 and weak.collection in run.transfer.collections:
            raise ValueError(
                f"fitness.measure: {run.fitness.measure!r} - {weak.collection} is evaluated on {splits} splits, and"
                " training clips of one are test clips of another; allowed: a set with one split, one that"
                " transfer.collections does not name, or measure zipf"
            )
        if weak.split > labelled[weak.collection].split_count:
            raise ValueError(
                f"fitness.weak.split: {weak.split} - allowed: 1 to {labelled[weak.collection].split_count}"
            )
    zipf = run.fitness.zipf
    noise = (zipf.clusters - 1) / run.fitness.clips
    if run.fitness.measure != "weak" and noise > zipf.max_noise:
        raise ValueError(
            f"fitness.clips: {run.fitness.clips} - allowed: at least {math.ceil((zipf.clusters - 1) / zipf.max_noise)}"
            f" for {zipf.clusters} clusters, else the estimate's noise {noise:.3f} exceeds fitness.zipf.max_noise"
        )
    if zipf.clusters > run.fitness.clips // 2:
        raise ValueError(
            f"fitness.zipf.clusters: {zipf.clusters} - allowed: at most {run.fitness.clips // 2}, half of fitness.clips"
        )
