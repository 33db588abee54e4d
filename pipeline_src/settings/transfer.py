"""Settings of the evaluation: which models are compared, on which collections, and how."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipeline_src.settings import catalogue
from pipeline_src.settings.base import Settings
from pipeline_src.settings.embedding import EmbedSettings

LineupKind = Literal[
    "evolved",
    "evolved_without_distillation",
    "evolved_permuted",
    "best_of_first_generation",
    "random",
    "uniform",
    "single",
    "scratch",
]


class LineupEntry(Settings):
    """One row of the results table."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$", description="name of the row and its folder")
    kind: LineupKind = Field(description="how the row's weights are found")
    term: str | None = Field(None, description="the term of a single entry")

    @model_validator(mode="after")
    def _term_of_single(self) -> "LineupEntry":
        if (self.kind == "single") != (self.term is not None):
            raise ValueError(f"term: {self.term!r} - allowed: a term's name for kind single, nothing for other kinds")
        if self.term is not None and self.term not in catalogue.terms():
            raise ValueError(f"term: {self.term!r} - {catalogue.suggest(self.term, tuple(catalogue.terms()))}")
        return self


class KmeansSettings(Settings):
    """Clusters of frozen embeddings, matched to classes."""

    clusters_per_class: int = Field(1, ge=1, le=100, description="clusters for each class")
    restarts: int = Field(10, ge=1, le=1000, description="k-means runs of which the best is kept")


class LinearSettings(Settings):
    """One fully-connected layer on frozen embeddings."""

    inverse_regularisation: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        (0.001, 0.01, 0.1, 1.0, 10.0), min_length=1, description="values of C, chosen on a validation part"
    )
    validation: float = Field(
        0.2, gt=0, lt=0.9, description="fraction of training source videos for that, where the split names none"
    )


class FinetuneSettings(Settings):
    """Training of the whole network with labels."""

    iterations: int = Field(500, ge=1, description="optimiser steps")
    batch_size: int = Field(16, ge=2, description="clips per step")
    learning_rate: float = Field(0.001, gt=0, le=100, description="highest learning rate")
    weight_decay: float = Field(1e-4, ge=0, le=1, description="weight decay")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto takes a GPU where there is one")


class TransferSettings(Settings):
    """What the trained RGB network is evaluated on."""

    collections: tuple[str, ...] = Field((), description="labelled collections; every split of each is used")
    embed: EmbedSettings = EmbedSettings()
    kmeans: KmeansSettings = KmeansSettings()
    linear: LinearSettings = LinearSettings()
    finetune: FinetuneSettings = FinetuneSettings()
