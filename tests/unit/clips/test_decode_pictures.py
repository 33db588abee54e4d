"""Pictures of every kind come out as a viewer would see them."""

import subprocess
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


def shown_by_ffmpeg(path: Path, filters: str, *options: str) -> np.ndarray:
    """The frames of a plain ffmpeg command line, (T, 64, 64, 3)."""
    command = [
        ffmpeg_path(),
        "-v",
        "error",
        "-i",
        str(path),
        "-vf",
        filters,
        *options,
        "-f",
        "rawvideo",
        "-pix_fmt",
        "rgb24",
        "-",
    ]
    return np.frombuffer(subprocess.run(command, check=True, capture_output=True).stdout, np.uint8).reshape(
        -1, 64, 64, 3
    )


INTERLACED = {
    "mp4": ("-c:v", "libx264", "-flags", "+ilme+ildct", "-crf", "10"),
    "ts": ("-c:v", "mpeg2video", "-flags", "+ilme+ildct", "-q:v", "2"),
    "avi": ("-c:v", "mpeg4", "-flags", "+ilme+ildct", "-q:v", "2"),
}


@pytest.mark.parametrize("container", INTERLACED)
def test_interlaced_frames_are_deinterlaced(ffmpeg: Call, tmp_path: Path, container: str) -> None:
    """Else moving edges are combs, which a network takes for texture."""
    source = "color=black:s=128x128:r=20:d=1.5,geq=lum='if(between(X-8*N,0,24),235,16)':cb=128:cr=128"
    weave = ",tinterlace=interleave_top,setfield=tff"
    path = tmp_path / f"v.{container}"
    ffmpeg(
        "-f",
        "lavfi",
        "-i",
        source + weave,
        "-pix_fmt",
        "yuv420p",
        *INTERLACED[container],
        "-fps_mode",
        "passthrough",
        path,
    )
    found = decode(path, width=128, height=128).frames
    command = [
        ffmpeg_path(),
        "-v",
        "error",
        "-i",
        str(path),
        "-fps_mode",
        "passthrough",
        "-f",
        "rawvideo",
        "-pix_fmt",
        "rgb24",
    ]

    def plain(*filters: str) -> np.ndarray:
        out = subprocess.run([*command, *filters, "-"], check=True, capture_output=True).stdout
        return np.frombuffer(out, np.uint8).reshape(-1, 128, 128, 3).astype(int)

    woven, wanted = plain(), plain("-vf", "bwdif=mode=send_frame:deint=all")
    assert len(found) == len(wanted) == len(woven)
    assert np.abs(found - wanted).mean() < 1
    combs = lambda frames: np.abs(np.diff(frames[2:-2].astype(int), axis=1)).mean()  # noqa: E731
    assert combs(found) < 0.2 * combs(woven)


def test_frames_that_are_not_flagged_are_left_alone(ffmpeg: Call, tmp_path: Path) -> None:
    """Fine lines of an ordinary video look like two fields, and must stay."""
    lines = "color=black:s=64x64:r=10:d=1,geq=lum='if(mod(Y+N,2),235,16)':cb=128:cr=128"
    ffmpeg("-f", "lavfi", "-i", lines, "-pix_fmt", "yuv420p", "-c:v", "libx264", "-crf", "1", tmp_path / "v.mp4")
    wanted = shown_by_ffmpeg(tmp_path / "v.mp4", "scale=64:64:flags=bicubic+accurate_rnd+bitexact")
    assert np.array_equal(decode(tmp_path / "v.mp4").frames, wanted)


def test_the_largest_of_several_pictures_and_one_sound_are_taken(ffmpeg: Call, tmp_path: Path) -> None:
    parts = ("color=red:s=32x32:r=10:d=1", "color=lime:s=64x64:r=10:d=1", "sine=440:d=1", "sine=880:d=1")
    inputs = [word for part in parts for word in ("-f", "lavfi", "-i", part)]
    maps = [word for k in range(4) for word in ("-map", str(k))]
    ffmpeg(*inputs, *maps, "-c:v", "ffv1", "-c:a", "flac", tmp_path / "v.mkv")
    found = decode(tmp_path / "v.mkv")
    assert found.frames.shape[0] == 10
    assert np.all(found.frames[..., 1] > 240)
    assert found.sound.shape == (8000,)


def test_a_picture_size_that_changes_midway_costs_no_time(ffmpeg: Call, tmp_path: Path) -> None:
    """Broadcasts switch between formats; each moment keeps its place."""
    for number, size in enumerate(("64x64", "96x96")):
        level = f"color=0x{'404040' if number == 0 else 'c0c0c0'}:s={size}:r=10:d=1"
        ffmpeg("-f", "lavfi", "-i", level, "-c:v", "mpeg2video", "-output_ts_offset", number, tmp_path / f"{number}.ts")
    joined = tmp_path / "v.ts"
    joined.write_bytes((tmp_path / "0.ts").read_bytes() + (tmp_path / "1.ts").read_bytes())
    levels = decode(joined).frames.mean((1, 2, 3)).round(-1)
    assert len(levels) in (19, 20, 21)
    assert np.all(levels[:8] < 90), levels
    assert np.all(levels[11:] > 170), levels
