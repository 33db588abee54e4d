"""Log-mel spectrogram of sound.

Equal to librosa's (Slaney's mel scale and area normalisation, periodic Hann window, centred columns),
which is not used because importing it takes longer than the work of a shard.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline_src.errors import UserError
from pipeline_src.settings.features import AudioSettings

FLOOR = 1e-6
# Slaney's mel scale: linear below 1000 Hz, logarithmic above.
HZ_PER_MEL = 200 / 3
BREAK_HZ = 1000.0
BREAK_MEL = BREAK_HZ / HZ_PER_MEL
LOG_STEP = np.log(6.4) / 27
# Columns that are transformed at a time, to keep memory small for long clips.
COLUMNS = 1024


@dataclass(frozen=True)
class LogMel:
    """A log-mel transform for sound of one rate; make it with `log_mel`.

    Attributes:
        rate: samples per second.
        window: samples under the analysis window.
        hop: samples between columns.
        bank: (mels, window // 2 + 1) weights of each mel band on the power spectrum.
    """

    rate: int
    window: int
    hop: int
    bank: np.ndarray

    def attributes(self) -> dict[str, Any]:
        """What readers need to know; the window and hop are those used, whole samples."""
        return {
            "sample_rate": self.rate,
            "hop_s": self.hop / self.rate,
            "window_s": self.window / self.rate,
            "mels": len(self.bank),
            "units": f"ln(mel power + {FLOOR:g})",
        }

    def __call__(self, sound: np.ndarray) -> np.ndarray:
        """ln(mel power + 1e-6) of sound scaled to [-1, 1).

        Args:
            sound: int16 (samples,), mono.

        Returns:
            float16 (columns, mels). Column c is centred on sample c * hop, with silence assumed before and
            after the sound. There are 1 + samples // hop columns for an even window, none without samples.
            Always finite: -13.8 for silence.
        """
        if not len(sound):
            return np.empty((0, len(self.bank)), np.float16)
        padded = np.pad(sound.astype(np.float32) / np.float32(32768), self.window // 2)
        windows = np.lib.stride_tricks.sliding_window_view(padded, self.window)[:: self.hop]
        hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(self.window) / self.window)
        columns = np.empty((len(windows), len(self.bank)), np.float16)
        for start in range(0, len(windows), COLUMNS):
            part = slice(start, start + COLUMNS)
            spectrum = np.fft.rfft(windows[part] * hann)
            power = spectrum.real**2 + spectrum.imag**2
            # einsum, not matrix multiplication: its result does not depend on the number of BLAS threads.
            columns[part] = np.log(np.einsum("cf,mf->cm", power, self.bank) + FLOOR)
        return columns


def log_mel(rate: int, settings: AudioSettings) -> LogMel:
    """The transform for sound of `rate` samples per second.

    Raises:
        UserError: settings that do not fit the rate, or with so many bands that some see no frequency.
    """
    window, hop = round(settings.window_s * rate), round(settings.hop_s * rate)
    for name, value, samples, least in (
        ("window_s", settings.window_s, window, 2),
        ("hop_s", settings.hop_s, hop, 1),
    ):
        if samples < least:
            raise UserError(
                f"audio.{name}: {value:g} - allowed: at least {least / rate:g} at {rate} samples per second"
            )
    if settings.lowest_hz >= rate / 2:
        raise UserError(
            f"audio.lowest_hz: {settings.lowest_hz:g} - allowed: less than {rate / 2:g}, half of decode.sound_rate"
        )
    bank = mel_bank(rate, window, settings.mels, settings.lowest_hz)
    if not bank.any(axis=1).all():
        fewer = (n for n in range(settings.mels - 1, 0, -1) if _full(rate, window, n, settings.lowest_hz))
        raise UserError(
            f"audio.mels: {settings.mels} - allowed: at most {next(fewer, 0)} for a window of {window}"
            " samples, else some bands see no frequency; or a longer audio.window_s"
        )
    return LogMel(rate, window, hop, bank)


def mel_bank(rate: int, window: int, mels: int, lowest_hz: float) -> np.ndarray:
    """Triangular filters, each of area 1 in hertz, evenly spaced on Slaney's mel scale.

    They span `lowest_hz` to rate / 2.

    Returns:
        float64 (mels, window // 2 + 1).
    """
    edges = _to_hz(np.linspace(_to_mel(lowest_hz), _to_mel(rate / 2), mels + 2))
    frequencies = np.arange(window // 2 + 1) * rate / window
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising = (frequencies - low) / (centre - low)
    falling = (high - frequencies) / (high - centre)
    bank: np.ndarray = np.maximum(0, np.minimum(rising, falling)) * 2 / (high - low)
    return bank


def _full(rate: int, window: int, mels: int, lowest_hz: float) -> bool:
    return bool(mel_bank(rate, window, mels, lowest_hz).any(axis=1).all())


def _to_mel(hertz: float) -> float:
    return hertz / HZ_PER_MEL if hertz < BREAK_HZ else BREAK_MEL + float(np.log(hertz / BREAK_HZ)) / LOG_STEP


def _to_hz(mel: np.ndarray) -> np.ndarray:
    return np.where(mel < BREAK_MEL, mel * HZ_PER_MEL, BREAK_HZ * np.exp((mel - BREAK_MEL) * LOG_STEP))
