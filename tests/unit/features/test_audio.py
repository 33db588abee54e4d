"""The log-mel spectrogram is librosa's, and finite whatever the sound."""

import warnings

import numpy as np
import pytest

from pipeline_src.errors import UserError
from pipeline_src.features.audio import log_mel, mel_bank
from pipeline_src.settings.features import AudioSettings

RATE = 16_000


def noise(samples: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    tone = 9000 * np.sin(2 * np.pi * 440 * np.arange(samples) / RATE)
    return (tone + rng.normal(0, 3000, samples)).clip(-32768, 32767).astype(np.int16)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rate", "settings"),
    [(16_000, {}), (22_050, {"window_s": 0.05, "hop_s": 0.0125, "mels": 64, "lowest_hz": 0.0})],
)
def test_equal_to_librosa(rate, settings):
    librosa = pytest.importorskip("librosa", reason="librosa is not installed")
    settings = AudioSettings(**settings)
    transform = log_mel(rate, settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        bank = librosa.filters.mel(
            sr=rate, n_fft=transform.window, n_mels=settings.mels, fmin=settings.lowest_hz, dtype=np.float64
        )
        np.testing.assert_allclose(transform.bank, bank, atol=1e-9)
        sound = noise(rate * 2)
        reference = librosa.feature.melspectrogram(
            y=sound.astype(np.float64) / 32768,
            sr=rate,
            n_fft=transform.window,
            hop_length=transform.hop,
            n_mels=settings.mels,
            fmin=settings.lowest_hz,
        )
    found = transform(sound)
    assert found.dtype == np.float16
    expected = np.log(reference.T + 1e-6)
    assert found.shape == expected.shape
    # Half a unit in the last place of 16-bit floats, and 1e-4 of computation.
    np.testing.assert_allclose(found, expected, rtol=2**-11, atol=1e-4)


def test_one_column_by_hand():
    """The first columns of a constant tone, from the definition of the discrete Fourier transform."""
    transform = log_mel(RATE, AudioSettings(window_s=0.004, hop_s=0.002, mels=8, lowest_hz=0.0))
    assert (transform.window, transform.hop) == (64, 32)
    sound = noise(640)
    column = 3
    piece = sound[column * 32 - 32 : column * 32 + 32] / 32768 * (0.5 - 0.5 * np.cos(np.pi * np.arange(64) / 32))
    turns = np.exp(-2j * np.pi * np.outer(np.arange(33), np.arange(64)) / 64)
    power = np.abs(turns @ piece) ** 2
    expected = np.log(mel_bank(RATE, 64, 8, 0.0) @ power + 1e-6)
    np.testing.assert_allclose(transform(sound)[column], expected, atol=0.01)


def test_bands_have_unit_area_and_rise_in_frequency():
    bank = mel_bank(RATE, 4096, 40, 50.0)
    np.testing.assert_allclose(bank.sum(1) * RATE / 4096, 1, atol=0.02)
    assert (np.diff(bank.argmax(1)) > 0).all()
    assert not bank[:, np.arange(2049) * RATE / 4096 < 50].any()


def test_a_tone_lights_the_band_at_its_pitch():
    transform = log_mel(RATE, AudioSettings())
    loudest = []
    for hertz in (300, 1000, 5000):
        tone = (8000 * np.sin(2 * np.pi * hertz * np.arange(RATE) / RATE)).astype(np.int16)
        band = transform(tone)[20].argmax()
        frequencies = np.arange(257) * RATE / 512
        loudest.append(frequencies[transform.bank[band].argmax()])
    np.testing.assert_allclose(loudest, [300, 1000, 5000], rtol=0.1)


@pytest.mark.parametrize("samples", [1, 2, 255, 256, 257, RATE])
@pytest.mark.parametrize("value", [0, 32767, -32768])
def test_silence_short_and_loud_sounds_stay_finite(samples, value):
    found = log_mel(RATE, AudioSettings())(np.full(samples, value, np.int16))
    assert found.shape == (1 + samples // 256, 40)
    assert np.isfinite(found).all()
    if value == 0:
        np.testing.assert_allclose(found, np.log(1e-6), atol=0.005)


def test_the_loudest_possible_sound_fits_16_bits():
    square = np.where(np.arange(RATE) % 20 < 10, 32767, -32768).astype(np.int16)
    for settings in (AudioSettings(), AudioSettings(window_s=1.0, mels=128)):
        assert np.isfinite(log_mel(48_000, settings)(square)).all()


def test_no_sound_has_no_columns():
    assert log_mel(RATE, AudioSettings())(np.zeros(0, np.int16)).shape == (0, 40)


def test_a_long_sound_is_the_same_as_its_pieces():
    transform = log_mel(RATE, AudioSettings())
    sound = noise(256 * 2100)
    whole = transform(sound)
    middle = transform(sound[256 * 1000 : 256 * 1100])
    np.testing.assert_array_equal(whole[1010:1090], middle[10:90])


def test_attributes_tell_the_steps_really_taken():
    found = log_mel(22_050, AudioSettings()).attributes()
    assert found["hop_s"] == 353 / 22_050
    assert found["window_s"] == 706 / 22_050
    assert (found["sample_rate"], found["mels"]) == (22_050, 40)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lowest_hz": 8000.0}, r"audio\.lowest_hz: 8000 - allowed: less than 8000"),
        ({"hop_s": 1e-6}, r"audio\.hop_s: 1e-06 - allowed: at least 6\.25e-05"),
        ({"window_s": 1e-5}, r"audio\.window_s: 1e-05 - allowed: at least"),
        ({"mels": 256}, r"audio\.mels: 256 - allowed: at most \d+"),
    ],
)
def test_settings_that_do_not_fit_the_sound_are_named(settings, message):
    with pytest.raises(UserError, match=message):
        log_mel(RATE, AudioSettings(**settings))


def test_the_number_of_bands_that_is_offered_works():
    with pytest.raises(UserError) as caught:
        log_mel(RATE, AudioSettings(mels=256))
    allowed = int(str(caught.value).split("at most ")[1].split()[0])
    assert 40 <= allowed < 256
    assert np.isfinite(log_mel(RATE, AudioSettings(mels=allowed))(noise(1000))).all()
