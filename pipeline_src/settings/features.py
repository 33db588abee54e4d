"""Settings of optical flow and audio features."""

from typing import Any

from pydantic import Field, model_validator

from pipeline_src.settings import catalogue
from pipeline_src.settings.base import Settings


class FlowSettings(Settings):
    """Which optical flow, and how it is stored in 8 bits."""

    method: str = Field("dis", description="name of a module in pipeline_src/features/flow")
    bound: float = Field(
        20.0, gt=0, le=1000, description="largest displacement kept, in pixels per frame; more is clipped and counted"
    )
    settings: dict[str, Any] = Field({}, description="the method's own settings, as its module declares them")

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, values: Any) -> Any:
        if isinstance(values, dict):
            method = str(values.get("method", "dis"))
            catalogue.check_choice("flow", method)
            given = values.get("settings", {})
            if not isinstance(given, dict):
                raise ValueError(f"settings: {given!r} - allowed: a mapping")
            return {**values, "settings": catalogue.complete("flow", method, given)}
        return values


class AudioSettings(Settings):
    """Log-mel spectrogram of the mono sound."""

    window_s: float = Field(0.032, gt=0, le=1, description="length of the analysis window in seconds")
    hop_s: float = Field(0.016, gt=0, le=1, description="time between spectrogram columns in seconds")
    mels: int = Field(40, ge=8, le=256, description="number of mel bands")
    lowest_hz: float = Field(50.0, ge=0, description="lowest frequency in hertz")
