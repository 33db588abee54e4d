"""Motion vectors of compressed video: right direction, order, unit, place and time, in the geometry of the frames."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pipeline_src.clips.decode import DecodeTask, decode_clip
from pipeline_src.clips.ffmpeg import ffmpeg_path
from pipeline_src.features.flow import dis, motion_vectors
from pipeline_src.features.grey import luma
from pipeline_src.settings import catalogue
from pipeline_src.settings.clips import DecodeSettings

REAL = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "real"
SIZE = 128
RATE = 24
H264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p", "-qp", "22")
CODECS = {
    "B pictures in a pyramid": ("mp4", (*H264, "-bf", "3", "-b_strategy", "0", "-sc_threshold", "0")),
    "no pyramid": ("mkv", (*H264, "-bf", "2", "-b_strategy", "0", "-x264-params", "b-pyramid=none")),
    "no B pictures": ("mp4", (*H264, "-bf", "0", "-g", "10")),
    "start codes": ("ts", (*H264, "-bf", "3")),
    "mpeg4": ("avi", ("-c:v", "mpeg4", "-q:v", "3")),
    "mpeg4 with B pictures": ("avi", ("-c:v", "mpeg4", "-q:v", "3", "-bf", "2")),
    "B pictures in AVI": ("avi", (*H264, "-bf", "3")),
    "mpeg2 with B pictures": ("mpg", ("-c:v", "mpeg2video", "-q:v", "3", "-bf", "2")),
    "mpeg1": ("mpg", ("-c:v", "mpeg1video", "-q:v", "3")),
}


def moving(steps: list[tuple[int, int]], width: int = SIZE, height: int = SIZE) -> np.ndarray:
    """RGB frames of a texture that moves by each (x, y) in pixels: right and down are positive."""
    margin = 300
    noise = np.random.default_rng(0).integers(0, 256, (height + 2 * margin, width + 2 * margin)).astype(np.float32)
    mixed = cv2.GaussianBlur(noise, (0, 0), 2) + 2 * cv2.GaussianBlur(noise, (0, 0), 7)
    texture = cv2.normalize(mixed, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)
    x = y = margin
    frames = []
    for step in [(0, 0), *steps]:
        x, y = x - step[0], y - step[1]
        frames.append(texture[y : y + height, x : x + width])
    return np.repeat(np.stack(frames)[..., None], 3, axis=-1)


def vectors(path: Path, start: float = 0.0, duration: float | None = None, **decode: Any) -> np.ndarray:
    """The flow of a clip, after decoding it to know its number of frames."""
    settings = DecodeSettings.model_validate({"frame_rate": RATE, "height": SIZE, "width": SIZE, **decode})
    task = DecodeTask(str(path), start, duration)
    found = decode_clip(task, settings, ffmpeg_path(), with_sound=False)
    assert found.status == "ok", found.reason
    flow = read(task, len(found.frames), settings)
    assert flow.dtype == np.float32
    assert flow.shape == (len(found.frames) - 1, SIZE, SIZE, 2)
    return flow


def read(task: DecodeTask, frames: int, decode: DecodeSettings, **settings: Any) -> np.ndarray:
    return np.stack(
        list(motion_vectors.clip(task, frames, decode, catalogue.complete("flow", "motion_vectors", settings)))
    )


def inner(flow: np.ndarray) -> np.ndarray:
    """Median motion of each row away from the borders, where new content has no vectors."""
    return np.median(flow[:, 32:-32, 32:-32], axis=(1, 2))


TURNS = [(3, -2)] * 12 + [(0, 0)] * 8 + [(-2, 4)] * 12 + [(5, 0)] * 12


@pytest.mark.parametrize("codec", CODECS)
def test_each_row_is_the_motion_to_the_next_frame_in_pixels_x_first(
    encode: Callable[..., Path], tmp_path: Path, codec: str
) -> None:
    suffix, options = CODECS[codec]
    flow = vectors(encode(tmp_path / f"v.{suffix}", moving(TURNS), RATE, *options))
    flow = flow[-len(TURNS) :]  # AVI's first picture is shown a little longer
    right = np.linalg.norm(inner(flow) - TURNS, axis=-1) < 0.6
    # Pictures without vectors, and those that refer to another than the nearest picture, are known only nearly.
    # Of MPEG-4 with B pictures only every third picture's vectors are known: their mean stands for three.
    assert right.mean() > (0.65 if codec == "mpeg4 with B pictures" else 0.85), inner(flow).round(1).tolist()
    for first, last in ((0, 12), (12, 20), (20, 32), (32, 44)):
        np.testing.assert_allclose(np.median(inner(flow)[first + 4 : last - 2], axis=0), TURNS[first], atol=0.3)


def test_fewer_frames_than_pictures_add_up_their_motion(encode: Callable[..., Path], tmp_path: Path) -> None:
    path = encode(tmp_path / "v.mp4", moving([(1, -2)] * 40), RATE, *CODECS["no B pictures"][1])
    np.testing.assert_allclose(np.median(inner(vectors(path, frame_rate=8)), axis=0), (3, -6), atol=0.3)


def test_more_frames_than_pictures_move_only_where_the_picture_changes(
    encode: Callable[..., Path], tmp_path: Path
) -> None:
    path = encode(tmp_path / "v.mp4", moving([(4, 2)] * 20), RATE, *CODECS["no B pictures"][1])
    flow = inner(vectors(path, frame_rate=2 * RATE))
    still = ~flow.any(axis=-1)
    assert 0.45 < still.mean() < 0.55
    np.testing.assert_allclose(np.median(flow[~still], axis=0), (4, 2), atol=0.2)


@pytest.mark.parametrize("start", [0.25, 0.5, 21 / RATE])
def test_a_clip_from_the_middle_has_the_motion_of_its_own_time(
    encode: Callable[..., Path], tmp_path: Path, start: float
) -> None:
    """A seek lands on a key picture before it."""
    path = encode(tmp_path / "v.mp4", moving(TURNS), RATE, *H264, "-g", "10", "-bf", "2")
    flow = inner(vectors(path, start, 0.75))
    first = round(start * RATE)
    close = np.linalg.norm(flow - TURNS[first : first + len(flow)], axis=-1) < 0.6
    assert close.mean() > 0.8, flow.round(1).tolist()


def test_a_large_picture(encode: Callable[..., Path], tmp_path: Path) -> None:
    """More cells than 16 bits can count."""
    path = encode(tmp_path / "v.mp4", moving([(24, -16)] * 3, 2560, 1440), RATE, *CODECS["no B pictures"][1])
    np.testing.assert_allclose(np.median(inner(vectors(path)), axis=0), (24 * 128 / 1440, -16 * 128 / 1440), atol=0.2)


@pytest.mark.parametrize("suffix", ["ts", "mpg"])
def test_a_seek_where_pictures_are_decoded_before_they_are_shown(
    encode: Callable[..., Path], tmp_path: Path, suffix: str
) -> None:
    """From a later key picture than ffmpeg's, frames that move would have no motion."""
    steps = [(3, -2)] * 24 + [(-2, 4)] * 24
    codec = ("-c:v", "mpeg2video", "-q:v", "3") if suffix == "mpg" else (*H264, "-b_strategy", "0")
    path = encode(tmp_path / f"v.{suffix}", moving(steps), RATE, *codec, "-g", "12", "-bf", "2")
    settings = DecodeSettings.model_validate({"frame_rate": RATE, "height": SIZE, "width": SIZE})
    for start in (0.5, 0.75, 1.0, 1.25):
        task = DecodeTask(str(path), start, 0.5)
        grey = luma(decode_clip(task, settings, ffmpeg_path(), with_sound=False).frames)
        reference = inner(dis.pairs(grey[:-1], grey[1:], {"preset": "medium"}))
        close = np.linalg.norm(inner(read(task, len(grey), settings)) - reference, axis=-1) < 0.8
        assert close.mean() > 0.7, (start, reference.round(1).tolist())


def test_joined_videos_are_told(encode: Callable[..., Path], tmp_path: Path) -> None:
    """Their times begin anew, which ffmpeg hides and the compressed stream does not."""
    one = encode(tmp_path / "one.ts", moving([(3, -2)] * 48), RATE, *H264).read_bytes()
    (tmp_path / "two.ts").write_bytes(one + one)
    with pytest.raises(motion_vectors.NoVectorsError, match="times jump back"):
        vectors(tmp_path / "two.ts")


def test_a_mirrored_video_is_told(encode: Callable[..., Path], ffmpeg: Callable[..., None], tmp_path: Path) -> None:
    plain = encode(tmp_path / "plain.mp4", moving([(3, -2)] * 5), RATE, *H264)
    ffmpeg("-display_hflip", "-i", plain, "-c", "copy", tmp_path / "v.mp4")
    with pytest.raises(motion_vectors.NoVectorsError, match="mirrored"):
        vectors(tmp_path / "v.mp4")


@pytest.mark.parametrize("fit", ["crop", "stretch"])
@pytest.mark.parametrize("sar", ["1/1", "2/1"])
def test_motion_is_scaled_as_the_frames_are(encode: Callable[..., Path], tmp_path: Path, fit: str, sar: str) -> None:
    """Right and down in pixels of the decoded frame; against flow of the frames themselves."""
    frames = moving([(6, 2)] * 10, width=384, height=256)
    path = encode(tmp_path / "v.mkv", frames, RATE, *CODECS["no B pictures"][1], "-vf", f"setsar={sar}")
    settings = DecodeSettings.model_validate({"frame_rate": RATE, "height": SIZE, "width": SIZE, "fit": fit})
    grey = luma(decode_clip(DecodeTask(str(path), 0, None), settings, ffmpeg_path(), with_sound=False).frames)
    reference = np.median(inner(dis.pairs(grey[:-1], grey[1:], {"preset": "medium"})), axis=0)
    found = np.median(inner(vectors(path, fit=fit)), axis=0)
    np.testing.assert_allclose(found, reference, atol=0.25)
    assert np.abs(reference).min() > 0.5


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_rotated_video_moves_the_way_it_is_shown(
    encode: Callable[..., Path], ffmpeg: Callable[..., None], tmp_path: Path, degrees: int
) -> None:
    """A part of the picture moves, so that its place is seen as well."""
    frames = moving([(0, 0)] * 12, width=160, height=128)
    for number in range(len(frames)):
        frames[number, 16:56, 10 + 4 * number : 50 + 4 * number] = moving([], 40, 40)[0][..., ::-1] // 2
    plain = encode(tmp_path / "plain.mp4", frames, RATE, *CODECS["no B pictures"][1])
    path = tmp_path / "v.mp4"
    ffmpeg("-display_rotation", degrees, "-i", plain, "-c", "copy", path)
    settings = DecodeSettings.model_validate({"frame_rate": RATE, "height": SIZE, "width": SIZE})
    grey = luma(decode_clip(DecodeTask(str(path), 0, None), settings, ffmpeg_path(), with_sound=False).frames)
    reference = dis.pairs(grey[:-1], grey[1:], {"preset": "medium"})
    found = vectors(path)
    moved = (np.linalg.norm(reference, axis=-1) > 1.5) & (np.linalg.norm(found, axis=-1) > 1.5)
    assert moved.mean() > 0.02
    np.testing.assert_allclose(found[moved].mean(0), reference[moved].mean(0), atol=1.0)
    product = (found * reference).sum(-1)[moved]
    assert (product > 0).mean() > 0.95


@pytest.mark.parametrize(
    ("suffix", "options", "reason"),
    [
        (
            "webm",
            ("-c:v", "libvpx-vp9", "-pix_fmt", "yuv420p", "-deadline", "realtime"),
            r"no motion vectors .*codec vp9",
        ),
        ("mkv", ("-c:v", "ffv1"), r"no motion vectors .*codec ffv1"),
        ("mkv", (*H264, "-flags", "+ildct+ilme", "-x264-params", "tff=1"), "interlaced"),
    ],
)
def test_a_video_without_vectors_is_told(
    encode: Callable[..., Path], tmp_path: Path, suffix: str, options: tuple[str, ...], reason: str
) -> None:
    path = encode(tmp_path / f"v.{suffix}", moving([(2, 1)] * 8), RATE, *options)
    with pytest.raises(motion_vectors.NoVectorsError, match=reason):
        vectors(path)


def test_a_missing_or_foreign_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "v.mp4").write_text("#EXTM3U\nhttp://127.0.0.1:9/x.ts\n")
    for name in ("v.mp4", "gone.mp4"):
        task = DecodeTask(str(tmp_path / name), 0.0, None)
        with pytest.raises(motion_vectors.NoVectorsError, match="cannot be read"):
            read(task, 5, DecodeSettings())


def test_cells_without_smoothing_move_as_one(encode: Callable[..., Path], tmp_path: Path) -> None:
    path = encode(tmp_path / "v.mp4", moving([(3, 1)] * 6), RATE, *CODECS["no B pictures"][1])
    settings = DecodeSettings.model_validate({"frame_rate": RATE, "height": SIZE, "width": SIZE})
    flow = read(DecodeTask(str(path), 0.0, None), 7, settings, smoothing=False)
    cells = flow.reshape(6, SIZE // 8, 8, SIZE // 8, 8, 2)
    assert (cells == cells[:, :, :1, :, :1]).all()


@pytest.mark.skipif(not REAL.is_dir(), reason="needs shared/data/real beside the checkout")
def test_directions_agree_with_dis_where_something_moves() -> None:
    """And most so at the same time: against the flow of the frame before or after, they agree less."""
    with open(REAL / "actions.csv", newline="", encoding="utf-8") as file:
        files = [row["path"] for row in csv.DictReader(file)][::31]
    settings = DecodeSettings.model_validate({"frame_rate": 15, "height": SIZE, "width": SIZE})
    agreement: dict[int, list[np.ndarray]] = {-1: [], 0: [], 1: []}
    for name in files:
        task = DecodeTask(str(REAL / name), 0.0, None)
        grey = luma(decode_clip(task, settings, ffmpeg_path(), with_sound=False).frames)
        reference = dis.pairs(grey[:-1], grey[1:], {"preset": "medium"})
        found = read(task, len(grey), settings)
        for shift, cosines in agreement.items():
            first, second = (flow[1 + step : len(flow) - 1 + step] for flow, step in ((found, 0), (reference, shift)))
            speeds = [np.linalg.norm(flow, axis=-1) for flow in (first, second)]
            moving = (speeds[0] > 1) & (speeds[1] > 1)
            cosines.append((first * second).sum(-1)[moving] / (speeds[0] * speeds[1])[moving])
    mean = {shift: float(np.concatenate(cosines).mean()) for shift, cosines in agreement.items()}
    within = float((np.concatenate(agreement[0]) > 0.5).mean())
    print("mean cosine by shift in time:", mean, "within 60 degrees:", within)
    assert mean[0] > 0.8
    assert within > 0.9
    assert mean[0] > max(mean[-1], mean[1]) + 0.03
