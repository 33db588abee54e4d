"""Settings of the search over weights and of its fitness."""

from typing import Any, Literal

from pydantic import Field, model_validator

from pipeline_src.settings import catalogue
from pipeline_src.settings.base import Settings
from pipeline_src.settings.embedding import EmbedSettings


class StrategySettings(Settings):
    """How the weights of one generation are found; what proposing and ranking depend on."""

    strategy: str = Field("tournament", description="name of a module in pipeline_src/evolution/strategies")
    population: int = Field(8, ge=1, le=10_000, description="individuals in a generation")
    settings: dict[str, Any] = Field({}, description="the strategy's own settings, as its module declares them")

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, values: Any) -> Any:
        if isinstance(values, dict):
            name = str(values.get("strategy", "tournament"))
            catalogue.check_choice("strategy", name)
            given = values.get("settings", {})
            if not isinstance(given, dict):
                raise ValueError(f"settings: {given!r} - allowed: a mapping")
            return {
                **values,
                "settings": catalogue.complete("strategy", name, given),
            }
        return values


class SearchSettings(StrategySettings):
    """How weights evolve."""

    generations: int = Field(5, ge=1, le=2500, description="number of generations; raising it adds jobs only")


class ZipfSettings(Settings):
    """KL divergence of cluster proportions from Zipf's law."""

    clusters: int = Field(8, ge=2, le=10_000, description="k of k-means")
    exponent: float = Field(1.0, gt=0, le=5, description="s of Zipf's law, proportional to rank^-s")
    temperature: float = Field(
        0.1, gt=0, description="divides squared distances of normalised embeddings before the softmax"
    )
    max_noise: float = Field(
        0.1,
        gt=0,
        description="largest noise of the estimate, (clusters - 1) / clips, that is accepted, in nats",
    )


class WeakSettings(Settings):
    """Agreement of clusters with classes of a labelled collection's training part, never its test part."""

    collection: str = Field(description="a labelled collection")
    split: int = Field(1, ge=1, description="which of its splits")
    measure: Literal["nmi", "ari", "accuracy"] = Field(
        "nmi",
        description="normalised mutual information, adjusted Rand index, or accuracy of the best matching",
    )


class FitnessSettings(Settings):
    """What an individual is judged by."""

    measure: Literal["zipf", "weak"] = Field("zipf", description="which measure the search maximises")
    clips: int = Field(1000, ge=8, description="pool clips that are embedded, at most")
    embed: EmbedSettings = Field(EmbedSettings(windows=1), description="how those clips are embedded")
    zipf: ZipfSettings = ZipfSettings()
    weak: WeakSettings | None = Field(None, description="also measured when given; needed for measure weak")
    min_effective_rank: float = Field(
        2.0,
        ge=1,
        description="an embedding with a smaller effective rank has collapsed and gets the worst fitness",
    )
    min_stability: float = Field(
        0.2, ge=0, le=1, description="adjusted Rand index of two k-means runs below which fitness is worst"
    )

    @model_validator(mode="after")
    def _weak_given(self) -> "FitnessSettings":
        if self.measure == "weak" and self.weak is None:
            raise ValueError("weak: missing; measure weak needs fitness.weak.collection")
        return self
