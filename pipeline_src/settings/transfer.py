"""Settings of the evaluation: which models are compared, on which collections, and how."""

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from pipeline_src.settings import catalogue
from pipeline_src.settings.base import Settings
from pipeline_src.settings.embedding import EmbedSettings

LineupKind = Literal[
    "evolved",
    "evolved_without_distillation",
    "evolved_permuted",
    "best_of_random",
    "random",
    "uniform",
    "single",
    "upper_bound",
    "scratch",
    "pretrained",
]
# Kinds whose networks this run does not train.
UNTRAINED = ("scratch", "pretrained")
# Kinds that learn from the pool, with weights that do not hang on the row's name.
COMPARABLE = ("evolved", "evolved_without_distillation", "best_of_random", "uniform", "single")
WEIGHT_FILES = (".safetensors", ".pt", ".pth")


class LineupEntry(Settings):
    """One row of the results table."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$", description="name of the row and its folder")
    kind: LineupKind = Field(description="how the row's weights are found")
    term: str | None = Field(None, description="the term of a single or upper_bound entry, searched or not")
    settings: dict[str, Any] = Field({}, description="settings of that term's task family, where it is not searched")
    collection: str | None = Field(
        None, description="labelled collection whose training part an upper_bound entry learns from"
    )
    weights: str | None = Field(
        None,
        min_length=1,
        description="of a pretrained entry: `r3d_18/KINETICS400_V1` or another name of torchvision's weights, an"
        " encoder.safetensors of another run with the same decode.frame_rate, height, width and fit, or a file with the"
        " state dict of a torchvision network",
    )
    network: Literal["r3d_18", "r2plus1d_18"] | None = Field(None, description="what such a state dict is for")
    pool_fraction: float = Field(
        1.0, gt=0, le=1, description="part of the pool that the entry learns from, whole source videos"
    )
    pool_fixed: Literal["iterations", "epochs"] = Field(
        "iterations", description="what a part of the pool leaves as it is: the iterations, or how often a clip comes"
    )

    @property
    def trained(self) -> bool:
        """Whether this run trains its network."""
        return self.kind not in UNTRAINED

    @model_validator(mode="after")
    def _pretrained(self) -> "LineupEntry":
        if (self.kind == "pretrained") != (self.weights is not None):
            raise ValueError(f"weights: {self.weights!r} - allowed: a name or file for kind pretrained, else nothing")
        if self.weights is None:
            if self.network is not None:
                raise ValueError(f"network: {self.network!r} - allowed: nothing, but for kind pretrained")
        elif not self.weights.endswith(WEIGHT_FILES):
            known, _, name = self.weights.partition("/")
            if known not in ("r3d_18", "r2plus1d_18") or not name or self.network is not None:
                raise ValueError(
                    f"weights: {self.weights!r} - allowed: r3d_18/NAME or r2plus1d_18/NAME without network, or a file"
                    f" ending in {', '.join(WEIGHT_FILES)}"
                )
        elif self.network is None and not self.weights.endswith(".safetensors"):
            raise ValueError("network: missing - allowed: r3d_18 or r2plus1d_18, which the state dict is for")
        return self

    @model_validator(mode="after")
    def _part_of_pool(self) -> "LineupEntry":
        if self.pool_fraction < 1 and self.kind not in COMPARABLE:
            raise ValueError(
                f"pool_fraction: {self.pool_fraction:g} - allowed: 1 for kind {self.kind}; less for"
                f" {', '.join(COMPARABLE)}, whose loss is the same in another row"
            )
        if self.pool_fraction == 1 and self.pool_fixed != "iterations":
            raise ValueError(f"pool_fixed: {self.pool_fixed!r} - allowed: only with a pool_fraction below 1")
        return self

    @model_validator(mode="after")
    def _term_of_kind(self) -> "LineupEntry":
        if (self.kind in ("single", "upper_bound")) != (self.term is not None):
            raise ValueError(
                f"term: {self.term!r} - allowed: a term's name for kinds single and upper_bound, nothing for others"
            )
        if (self.kind == "upper_bound") != (self.collection is not None):
            raise ValueError(
                f"collection: {self.collection!r} - allowed: a labelled set for kind upper_bound, nothing for others"
            )
        if self.term is None:
            if self.settings:
                raise ValueError("settings: given without a term - allowed: nothing")
            return self
        if self.term not in catalogue.terms():
            raise ValueError(f"term: {self.term!r} - {catalogue.suggest(self.term, tuple(catalogue.terms()))}")
        family = catalogue.terms()[self.term]
        if self.kind == "upper_bound" and not catalogue.reads_labels(family):
            raise ValueError(f"term: {self.term!r} - it reads no labels; allowed: kind single")
        catalogue.complete("task", family, self.settings)
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


class RetrievalSettings(Settings):
    """Nearest training clips of test clips, by frozen embeddings."""

    neighbours: int = Field(20, ge=1, le=10_000, description="nearest training clips that vote for a class")
    temperature: float = Field(0.07, gt=0, le=10, description="of the votes' weights: exp(cosine / temperature)")
    kept: int = Field(10, ge=1, le=1000, description="neighbours kept in the result for the report's gallery")


class FinetuneSettings(Settings):
    """Training of the whole network with labels."""

    iterations: int = Field(500, ge=1, description="optimiser steps")
    batch_size: int = Field(16, ge=2, description="clips per step")
    learning_rates: tuple[Annotated[float, Field(gt=0, le=100)], ...] = Field(
        (0.001,),
        min_length=1,
        description="highest learning rates; of several one is chosen on a validation part, each by a training more",
    )
    weight_decay: float = Field(1e-4, ge=0, le=1, description="weight decay")
    validation: float = Field(
        0.2, gt=0, lt=0.9, description="fraction of training source videos for that, where the split names none"
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto takes a GPU where there is one")

    @property
    def trainings(self) -> int:
        """How often a network is trained: once for each of several rates, and with the one that is chosen."""
        return 1 if len(self.learning_rates) == 1 else 1 + len(self.learning_rates)


Labels = Annotated[str, Field(pattern=r"^([1-9][0-9]{0,5}shot|[1-9][0-9]?pct)$")]


class FewerLabelsSettings(Settings):
    """Parts of the training labels that are learned from: `5shot` is five clips of each class, `10pct` a tenth."""

    linear: tuple[Labels, ...] = Field(
        ("1shot", "5shot", "10pct", "25pct", "50pct"), description="parts for one layer on frozen embeddings"
    )
    finetune: tuple[Labels, ...] = Field((), description="parts for fine-tuning, each a training of its own")


class ProbeSettings(Settings):
    """What embeddings tell about time."""

    names: tuple[Literal["motion", "overlap", "order", "speed"], ...] = Field(
        ("motion", "overlap", "order", "speed"),
        description="how a window is played; how two windows overlap; which of two comes first; speeds never seen",
    )
    clips: int = Field(1000, ge=10, description="clips of each split at most, drawn at random")


class TransferSettings(Settings):
    """What the trained RGB network is evaluated on."""

    collections: tuple[str, ...] = Field((), description="labelled collections; every split of each is used")
    embed: EmbedSettings = EmbedSettings()
    kmeans: KmeansSettings = KmeansSettings()
    linear: LinearSettings = LinearSettings()
    finetune: FinetuneSettings = FinetuneSettings()
    retrieval: RetrievalSettings = RetrievalSettings()
    fewer_labels: FewerLabelsSettings = FewerLabelsSettings()
    probes: ProbeSettings = ProbeSettings()
