"""Pictures of every kind come out as a viewer would see them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline_src.clips.decode import Decoded, DecodeTask, decode_clip
from pipeline_src.clips.ffmpeg import ffmpeg_path
from pipeline_src.clips.probe import probe
from pipeline_src.settings.clips import DecodeSettings

Call = Callable[..., None]
# 16x16 patches: greys up to diffuse white, muted and full colours, as 8-bit codes of ordinary video.
PATCHES = np.array(
    [
        [(16, 16, 16), (64, 64, 64), (110, 110, 110), (150, 150, 150)],
        [(190, 190, 190), (150, 100, 80), (80, 120, 60), (70, 90, 150)],
        [(160, 60, 60), (60, 140, 70), (70, 70, 150), (150, 140, 60)],
        [(180, 40, 40), (40, 150, 40), (40, 40, 160), (235, 235, 235)],
    ],
    np.uint8,
)


def decode(path: object, **settings: object) -> Decoded:
    given = {"frame_rate": 10, "height": 64, "width": 64, "sound_rate": 8000, **settings}
    return decode_clip(DecodeTask(str(path), 0.0, None), DecodeSettings.model_validate(given), ffmpeg_path())


def pq(light: np.ndarray) -> np.ndarray:
    """SMPTE ST 2084: light in cd/m2 to a signal of 0..1."""
    power = (light / 10_000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375


def hlg(light: np.ndarray) -> np.ndarray:
    """ITU-R BT.2100: light in cd/m2 on a display of 1,000 cd/m2 to a signal of 0..1."""
    luminance = light @ [0.2627, 0.678, 0.0593]
    scene = light / 1000 / np.maximum(luminance / 1000, 1e-9)[..., None] ** (0.2 / 1.2)
    return np.where(
        scene <= 1 / 12, np.sqrt(3 * scene), 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    )


def hdr_video(ffmpeg: Call, folder: Path, transfer: str, light: np.ndarray) -> Path:
    """Encode a picture of linear BT.2020 light in cd/m2, (64, 64, 3), as 10-bit video."""
    encode = {"smpte2084": pq, "arib-std-b67": hlg}[transfer]
    signal = encode(light)
    (folder / "raw").write_bytes(
        np.round(np.moveaxis(signal[..., [1, 2, 0]], -1, 0) * 65535).astype("<u2").tobytes() * 5
    )
    raw = ["-f", "rawvideo", "-pix_fmt", "gbrp16le", "-s", "64x64", "-r", "10", "-i", folder / "raw"]
    tags = ["-color_primaries", "bt2020", "-color_trc", transfer, "-colorspace", "bt2020nc", "-color_range", "tv"]
    matrix = "scale=out_color_matrix=bt2020:out_range=tv:flags=accurate_rnd,format=yuv444p10"
    mark = f"setparams=color_primaries=bt2020:color_trc={transfer}:colorspace=bt2020nc:range=tv"
    ffmpeg(
        *raw,
        "-vf",
        f"{matrix},{mark}",
        *tags,
        "-c:v",
        "libx265",
        "-x265-params",
        "log-level=none:qp=4",
        folder / "hdr.mp4",
    )
    return folder / "hdr.mp4"


def displayed_light(codes: np.ndarray) -> np.ndarray:
    """Ordinary BT.709 codes on a display with diffuse white of 203 cd/m2, as linear BT.2020 light in cd/m2."""
    to_2020 = [[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.088, 0.8956]]
    return 203 * (codes / 255) ** 2.4 @ np.array(to_2020).T


@pytest.mark.parametrize("transfer", ["smpte2084", "arib-std-b67"])
def test_high_dynamic_range_looks_like_ordinary_video(ffmpeg: Call, tmp_path: Path, transfer: str) -> None:
    """The same scene as ordinary and as HDR video: without tone mapping the HDR one is flat, grey and pale."""
    scene = PATCHES.repeat(16, 0).repeat(16, 1)
    path = hdr_video(ffmpeg, tmp_path, transfer, displayed_light(scene))
    assert probe(str(path)).hdr == {"smpte2084": "pq", "arib-std-b67": "hlg"}[transfer]
    found = decode(path).frames
    assert found.shape == (5, 64, 64, 3)
    seen = found[0, 8::16, 8::16].astype(float)
    print(seen.round().astype(int).tolist())
    shown = PATCHES.astype(float)
    middle = shown.max(-1) <= 190
    assert np.abs(seen - shown)[middle].mean() < 6
    assert np.abs(seen - shown).max() < 35
    spread = lambda colours: np.ptp(colours, axis=-1)  # noqa: E731
    assert 0.8 * spread(shown).mean() < spread(seen).mean() < 1.25 * spread(shown).mean()


def test_bright_highlights_keep_their_order(ffmpeg: Call, tmp_path: Path) -> None:
    light = np.repeat(np.array([100.0, 203, 400, 800]), 16)[None, :, None] * np.ones((64, 1, 3))
    seen = decode(hdr_video(ffmpeg, tmp_path, "smpte2084", light)).frames[0, 32, 8::16].mean(-1)
    assert np.all(np.diff(seen) >= 5), seen
    assert 200 < seen[1] < 245 < seen[3]
