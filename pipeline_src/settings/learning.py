"""Settings of windows, networks, loss and training."""

from typing import Any, Literal

from pydantic import Field, model_validator

from pipeline_src.settings import catalogue
from pipeline_src.settings.base import Settings

VIDEO_ENCODERS = ("small_r3d", "r3d_18", "r2plus1d_18", "r3d_50", "r2plus1d_50")


class WindowSettings(Settings):
    """The piece of a clip that a network sees, and how it is varied in training."""

    frames: int = Field(16, ge=2, le=256, description="frames in a window")
    crop: int = Field(112, ge=16, le=1024, description="height and width in pixels cut from the stored frames")
    future_frames: int = Field(4, ge=1, le=64, description="frames after the window that the future terms predict")
    padding: Literal["loop", "hold"] = Field(
        "loop",
        description="how clips shorter than a window are filled: repeated, or their last frame held; terms that ask for"
        " order, or which streams belong together, leave such windows out",
    )
    flip: bool = Field(True, description="mirror half of the training windows")


class NetworkSettings(Settings):
    """One encoder per modality; rgb, flow and grey share an architecture and differ in their stems."""

    video: Literal["small_r3d", "r3d_18", "r2plus1d_18", "r3d_50", "r2plus1d_50"] = Field(
        "r3d_18", description="encoder of rgb, flow and grey"
    )
    width: int = Field(
        16, ge=4, le=256, description="channels of the first layer of small_r3d and of the audio network"
    )
    decoder_width: int = Field(32, ge=4, le=512, description="channels inside the decoders")
    decoder_stride: int = Field(
        4, ge=1, le=16, description="decoders paint pictures this many times smaller than the window"
    )


class LossSettings(Settings):
    """The search space: which terms there are, and how their sizes are made comparable."""

    terms: tuple[str, ...] = Field(
        ("elo",),
        min_length=1,
        description="names of terms, patterns such as '*.shuffle' or 'distill.flow.*', or groups: elo (the paper's 48),"
        " contrast, time, space, sound, pixels; '*' for all",
    )
    calibrate: bool = Field(
        True, description="divide each term by the median norm of its gradient; off for the paper's own formula"
    )
    calibrate_batches: int = Field(32, ge=1, le=1000, description="batches that the median is taken over")
    tasks: dict[str, dict[str, Any]] = Field({}, description="settings of task families, as their modules declare them")

    @model_validator(mode="before")
    @classmethod
    def _resolve(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        patterns = values.get("terms", ("elo",))
        if not isinstance(patterns, list | tuple):
            raise ValueError(f"terms: {patterns!r} - allowed: a list of names or patterns")
        chosen: set[str] = set()
        for pattern in patterns:
            known = str(pattern) in catalogue.terms()
            matching = [str(pattern)] if known else catalogue.matching_terms(str(pattern))
            if not matching:
                raise ValueError(f"terms: {pattern!r} - {catalogue.suggest(str(pattern), tuple(catalogue.terms()))}")
            chosen.update(matching)
        families = sorted({catalogue.terms()[name] for name in chosen})
        given = values.get("tasks", {})
        if not isinstance(given, dict) or not all(isinstance(table, dict) for table in given.values()):
            raise ValueError(f"tasks: {given!r} - allowed: a mapping of task families to mappings of their settings")
        for family in given:
            if family not in families:
                raise ValueError(f"tasks: {family!r} - allowed: families of the chosen terms: {', '.join(families)}")
        tasks = {family: catalogue.complete("task", family, given.get(family, {})) for family in families}
        return {**values, "terms": tuple(sorted(chosen)), "tasks": tasks}


class TrainingSettings(Settings):
    """One training run."""

    iterations: int = Field(1000, ge=1, description="optimiser steps")
    batch_size: int = Field(16, ge=2, description="clips per batch, on all processes together")
    accumulate: int = Field(
        1, ge=1, le=10_000, description="batches whose gradients are averaged before an optimiser step"
    )
    optimiser: Literal["sgd", "adamw", "lars"] = Field(
        "adamw", description="which optimiser; lars for batches of thousands"
    )
    learning_rate: float = Field(0.001, gt=0, le=100, description="highest learning rate")
    momentum: float = Field(0.9, ge=0, lt=1, description="momentum of sgd and lars")
    trust: float = Field(0.001, gt=0, le=1, description="trust coefficient of lars")
    weight_decay: float = Field(1e-4, ge=0, le=1, description="weight decay")
    warmup: float = Field(0.1, ge=0, lt=1, description="fraction of the iterations with rising learning rate")
    clip_gradient: float = Field(1.0, gt=0, description="largest norm of the gradient")
    workers: int = Field(0, ge=0, le=64, description="processes that read batches; 0 reads in the training process")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto takes a GPU where there is one")
    processes: int = Field(
        1,
        ge=1,
        le=1024,
        description="processes that share each batch, one GPU each where there are GPUs; of final only",
    )
    autocast: bool = Field(False, description="bfloat16 arithmetic; made for GPUs")
    channels_last: bool = Field(
        False, description="memory layout with channels innermost, which suits GPUs with bfloat16 arithmetic"
    )
    compile: bool = Field(False, description="encoders compiled by torch.compile; the first steps take minutes")
    tensorboard: bool = Field(
        False, description="also write curves for TensorBoard beside the model, in a folder tensorboard"
    )
    scratch: str | None = Field(
        None,
        min_length=1,
        description="folder on the node's own disk, such as $TMPDIR, that shards are copied to when first read",
    )
    checkpoint_every_s: float = Field(300.0, gt=0, description="seconds between resume checkpoints")

    @model_validator(mode="after")
    def _shares(self) -> "TrainingSettings":
        if self.batch_size % self.processes:
            raise ValueError(f"batch_size: {self.batch_size} - allowed: a multiple of processes, {self.processes}")
        return self
