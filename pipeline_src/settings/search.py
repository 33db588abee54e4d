"""Settings of the search over weights and of its fitness."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from pipeline_src.settings import catalogue
from pipeline_src.settings.base import Settings
from pipeline_src.settings.embedding import FitnessEmbedSettings


class StrategySettings(Settings):
    """How the weights of one generation are found; what proposing and ranking depend on."""

    strategy: str = Field("tournament", description="name of a module in pipeline_src/evolution/strategies")
    population: int = Field(8, ge=1, le=10_000, description="individuals in a generation")
    settings: dict[str, Any] = Field({}, description="the strategy's own settings, as its module declares them")
    scale: Literal["linear", "log"] = Field(
        "linear", description="whether the strategy varies weights, or their logarithms from that of floor to 0"
    )
    floor: float = Field(0.001, ge=0.00001, lt=1, description="smallest weight of scale log above 0")
    start: str = Field(
        "uniform",
        min_length=1,
        description="individuals that the first generation begins with: `uniform` for those of the strategy itself,"
        " `one_hot` for each term alone, or a table of an earlier search (individuals.csv, generation.csv), its best"
        " individuals first",
    )
    fixed: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(
        {}, description="weights that are not searched: names or patterns of terms, and the weight of each"
    )
    frozen: tuple[str, ...] = Field(
        (), description="names or patterns of terms that keep the weight of the start table's best individual"
    )

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

    @model_validator(mode="after")
    def _consistent(self) -> "StrategySettings":
        smallest = catalogue.minimum_population(self.strategy)
        if self.population < smallest:
            raise ValueError(f"population: {self.population} - allowed: at least {smallest} for {self.strategy}")
        if self.frozen and not self.start_table:
            raise ValueError(f"frozen: {self.frozen[0]!r} - allowed: nothing unless start is a table")
        if self.scale == "linear" and self.floor != type(self).model_fields["floor"].default:
            raise ValueError(f"floor: {self.floor:g} - allowed: only with scale: log")
        return self

    @property
    def start_table(self) -> str | None:
        """The table that the first generation begins with."""
        return None if self.start in ("uniform", "one_hot") else self.start

    def fixed_terms(self, terms: Sequence[str]) -> dict[str, float | None]:
        """Terms that are not searched: their weight, or None for that of the start table.

        Raises:
            ValueError: a pattern that fits none of the terms, or a term that two patterns fit.
        """
        found: dict[str, float | None] = {}
        given = [*(("fixed", *item) for item in self.fixed.items()), *(("frozen", name, None) for name in self.frozen)]
        for setting, pattern, weight in given:
            fitting = [term for term in terms if fnmatchcase(term, pattern)]
            if not fitting:
                raise ValueError(f"search.{setting}: {pattern!r} - {catalogue.suggest(pattern, tuple(terms))}")
            for term in fitting:
                if term in found:
                    raise ValueError(f"search.{setting}: {pattern!r} - fits {term}, to which another entry applies")
                found[term] = weight
        return found


class TrialSettings(Settings):
    """How the individuals of a generation are tried."""

    rungs: int = Field(
        1, ge=1, le=6, description="stretches of a training, after each of which only the best go on; 1 is no halving"
    )
    eta: int = Field(3, ge=2, le=10, description="one of so many goes on to the next rung, for so many times the steps")
    share: int = Field(
        1, ge=1, le=1000, description="individuals that one job trains, reading and preparing each batch once for all"
    )
    seeds: int = Field(1, ge=1, le=100, description="trainings of each individual; its fitness is their mean")

    @model_validator(mode="after")
    def _consistent(self) -> "TrialSettings":
        if self.rungs == 1 and self.eta != type(self).model_fields["eta"].default:
            raise ValueError(f"eta: {self.eta} - allowed: only with rungs above 1")
        return self


def _trains_rgb(term: str) -> bool:
    """Whether a term's gradient reaches the rgb network, which what is painted (`flow>rgb.translate`) does not."""
    return "rgb" in catalogue.modalities_of(term) and ">rgb." not in term


class SearchSettings(StrategySettings):
    """How weights evolve."""

    generations: int = Field(5, ge=1, le=2500, description="number of generations; raising it adds jobs only")
    trials: TrialSettings = Field(TrialSettings(), description="how individuals are tried")
    keep_encoders: bool = Field(
        False, description="whether the rgb encoder of every individual that was trained to the end is kept"
    )
    controls: tuple[str, ...] = Field(
        ("*",),
        description="names or patterns of terms that are tried alone, beside uniform weights, to be held against the"
        " search's individuals; patterns leave out terms that never train the rgb network",
    )
    larger: dict[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1, le=10_000)]] = Field(
        {}, description="another population from a generation on, such as {20: 16}; earlier ones stay as they are"
    )

    @model_validator(mode="after")
    def _sizes(self) -> "SearchSettings":
        smallest = catalogue.minimum_population(self.strategy)
        for first, size in self.larger.items():
            if size < smallest:
                raise ValueError(f"larger.{first}: {size} - allowed: at least {smallest} for {self.strategy}")
            if first >= self.generations:
                raise ValueError(f"larger: {first} - allowed: less than generations, {self.generations}")
        fewest, needed = min((self.population, *self.larger.values())), self.trials.eta ** (self.trials.rungs - 1)
        if fewest < needed:
            raise ValueError(
                f"trials.rungs: {self.trials.rungs} - allowed: as many as leave an individual for the last; a"
                f" population of {fewest} has less than {needed}"
            )
        return self

    def controls_of(self, terms: Sequence[str]) -> tuple[str, ...]:
        """Terms that are tried alone.

        Raises:
            ValueError: a pattern that fits none of the terms.
        """
        for pattern in self.controls:
            if not any(fnmatchcase(term, pattern) for term in terms):
                raise ValueError(f"search.controls: {pattern!r} - {catalogue.suggest(pattern, tuple(terms))}")
        return tuple(
            term
            for term in sorted(terms)
            if term in self.controls
            or (_trains_rgb(term) and any(fnmatchcase(term, pattern) for pattern in self.controls))
        )

    def population_of(self, generation: int) -> int:
        """Individuals of a generation."""
        starts = [first for first in self.larger if first <= generation]
        return self.larger[max(starts)] if starts else self.population


class ZipfSettings(Settings):
    """KL divergence of cluster proportions from Zipf's law."""

    clusters: int = Field(8, ge=2, le=10_000, description="k of k-means")
    exponent: float = Field(1.0, gt=0, le=5, description="s of Zipf's law, proportional to rank^-s")
    temperature: float = Field(0.1, ge=1e-6, description="divides squared distances of embeddings before the softmax")
    normalise: Literal["unit", "centred", "none"] = Field(
        "unit",
        description="what is done to embeddings first: each scaled to length 1; the same around their mean; or nothing,"
        " which with temperature 1 is the paper's formula",
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


class MixSettings(Settings):
    """Weights of the measures in their sum."""

    zipf: float = Field(0.5, ge=0, description="of minus the divergence in nats")
    weak: float = Field(0.5, ge=0, description="of the agreement with classes")


class FitnessSettings(Settings):
    """What an individual is judged by."""

    measure: Literal["zipf", "weak", "mix"] = Field(
        "zipf", description="which measure the search maximises; mix is the weighted sum of the other two"
    )
    mix: MixSettings = Field(MixSettings(), description="for measure mix")
    clips: int = Field(1000, ge=8, description="pool clips that are embedded, at most")
    embed: FitnessEmbedSettings = Field(FitnessEmbedSettings(), description="how those clips are embedded")
    zipf: ZipfSettings = ZipfSettings()
    weak: WeakSettings | None = Field(None, description="also measured when given; needed for measures weak and mix")
    min_effective_rank: float = Field(
        2.0,
        ge=1,
        description="an embedding with a smaller effective rank has collapsed and gets the worst fitness",
    )
    min_stability: float = Field(
        0.2, ge=0, le=1, description="adjusted Rand index of two k-means runs below which fitness is worst; 0 for none"
    )

    @model_validator(mode="after")
    def _weak_given(self) -> "FitnessSettings":
        if self.measure != "zipf" and self.weak is None:
            raise ValueError(f"weak: missing; measure {self.measure} needs fitness.weak.collection")
        if self.measure == "mix" and self.mix.zipf + self.mix.weak == 0:
            raise ValueError("mix: zipf and weak are 0 - allowed: at least one above 0")
        return self
