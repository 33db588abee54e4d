"""Settings of embedding clips with a trained encoder."""

from typing import Literal

from pydantic import Field

from pipeline_src.settings.base import Settings


class EmbedSettings(Settings):
    """How a clip becomes one vector."""

    windows: int = Field(
        3, ge=1, le=100, description="windows spread evenly over a clip, whose embeddings are averaged"
    )
    batch_size: int = Field(32, ge=1, description="windows per forward pass")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto takes a GPU where there is one")


class FitnessEmbedSettings(EmbedSettings):
    """How a clip of the pool becomes one vector for the fitness: one window, as every individual pays for it."""

    windows: int = Field(
        1, ge=1, le=100, description="windows spread evenly over a clip, whose embeddings are averaged"
    )
