"""The built-in world: what it promises, shown on files that were rendered, encoded and decoded."""

import csv
import itertools
import json
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pipeline_src.clips import world, world_encoding
from pipeline_src.clips.world_drawing import BACKGROUNDS
from pipeline_src.clips.world_motion import CLASSES, DIM, RADII, draw_motion, impacts, track
from pipeline_src.clips.world_sound import SAMPLE_RATE, make_sound, rim_speeds
from pipeline_src.errors import UserError
from pipeline_src.settings.clips import WorldSource

CHANCE = 1 / len(CLASSES)
VIDEOS = 240
SHORTEST = 24
ROOT = Path(__file__).resolve().parents[3]


def _source(**values: object) -> WorldSource:
    return WorldSource.model_validate({"kind": "world", **values})


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _frames(path: Path) -> np.ndarray:
    with av.open(str(path)) as file:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)])


def _sound(path: Path) -> np.ndarray:
    with av.open(str(path)) as file:
        return np.concatenate([frame.to_ndarray()[0] for frame in file.decode(audio=0)])


@dataclass(frozen=True)
class Rendered:
    folder: Path
    source: WorldSource
    clips: list[np.ndarray]
    classes: np.ndarray


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Rendered:
    """A world with uniform classes, decoded."""
    folder = tmp_path_factory.mktemp("world")
    source = _source(videos=VIDEOS, classes="uniform")
    world.write_world(source, 0, "pool", folder, threads=2)
    truth = _rows(folder / "truth.csv")
    with ThreadPoolExecutor(2) as pool:
        clips = list(pool.map(lambda row: _frames(folder / row["path"]), truth))
    return Rendered(folder, source, clips, np.array([row["class"] for row in truth]))


def _accuracy(model: object, features: np.ndarray, classes: np.ndarray) -> float:
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    return float(cross_val_score(model, features, classes, cv=folds).mean())


def _forest() -> RandomForestClassifier:
    return RandomForestClassifier(100, random_state=0, n_jobs=2)


def _still_probes(pictures: np.ndarray, classes: np.ndarray) -> dict[str, float]:
    """Probes of one picture per clip: its pixels, and the strength, place and direction of its edges."""
    small = np.stack([cv2.resize(picture, (24, 24), interpolation=cv2.INTER_AREA) for picture in pictures])
    grey = pictures.astype(np.float32).mean(-1)
    down, right = np.gradient(grey, axis=(1, 2))
    strength = np.hypot(down, right)
    shares = np.quantile(strength.reshape(len(grey), -1), [0.1, 0.5, 0.75, 0.9, 0.95, 0.99, 1], axis=1).T
    places = np.stack([cv2.resize(one, (6, 6), interpolation=cv2.INTER_AREA).ravel() for one in strength])
    direction = 2 * np.arctan2(down, right) % (2 * np.pi)
    turns = [np.histogram(a, 8, (0, 2 * np.pi), weights=b)[0] for a, b in zip(direction, strength, strict=True)]
    pixels = small.reshape(len(small), -1)
    return {
        "pixels": _accuracy(make_pipeline(StandardScaler(), RidgeClassifier(1000.0)), pixels, classes),
        "edges": _accuracy(_forest(), np.concatenate([shares, places, turns], 1), classes),
    }


def _flow_features(clip: np.ndarray) -> np.ndarray:
    """How translation, rotation, growth and shear of what moves against the background go over time."""
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in clip[:SHORTEST]]
    method = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flow = np.stack([method.calc(one, two, None) for one, two in itertools.pairwise(grey)])
    x, y = np.moveaxis(flow - np.median(flow, axis=(1, 2), keepdims=True), -1, 0)
    weight = np.clip(np.hypot(x, y) - 0.2, 0, 2) + 1e-3
    weight /= weight.sum((1, 2), keepdims=True)
    x_down, x_right = np.gradient(x, axis=(1, 2))
    y_down, y_right = np.gradient(y, axis=(1, 2))

    def mean(field: np.ndarray) -> np.ndarray:
        return (field * weight).sum((1, 2))

    velocity = np.stack([mean(x), mean(y)], 1)
    series = [
        np.linalg.norm(velocity, axis=1),
        np.sqrt(mean((x - velocity[:, 0, None, None]) ** 2 + (y - velocity[:, 1, None, None]) ** 2)),
        mean(np.abs(y_right - x_down)),
        mean(np.abs(x_right + y_down)),
        mean(x_right + y_down),
        mean(np.hypot(x_right - y_down, x_down + y_right)),
    ]
    parts = [np.array([one.mean(), one.std()]) for one in series]
    parts += [np.log(np.abs(np.fft.rfft(one - one.mean()))[1:9] + 1e-3) for one in series]
    parts.append(np.log(np.linalg.norm(np.fft.rfft(velocity, axis=0), axis=1) + 1e-3))
    narrow, wide = np.linalg.eigvalsh(np.cov(velocity.T))
    parts.append(np.array([narrow / (wide + 1e-9), np.log(wide + 1e-9)]))
    return np.concatenate(parts)


@pytest.mark.parametrize("which", ["first", "middle", "mean"])
@pytest.mark.slow
def test_no_single_picture_tells_the_class(rendered: Rendered, which: str) -> None:
    """Else a model that ignores motion would look good on this world."""
    picked = {
        "first": lambda clip: clip[0],
        "middle": lambda clip: clip[len(clip) // 2],
        "mean": lambda clip: clip.mean(0),
    }[which]
    pictures = np.stack([picked(clip) for clip in rendered.clips])
    found = _still_probes(pictures, rendered.classes)
    print(which, found)
    assert max(found.values()) <= 1.5 * CHANCE, found


@pytest.mark.slow
def test_length_does_not_tell_the_class(rendered: Rendered) -> None:
    lengths = np.array([[len(clip)] for clip in rendered.clips])
    found = [_accuracy(model, lengths, rendered.classes) for model in (_forest(), LogisticRegression())]
    print("length", found)
    assert max(found) <= 1.5 * CHANCE


@pytest.mark.slow
def test_motion_tells_the_class(rendered: Rendered) -> None:
    """Else nothing could be learned from this world."""
    with ThreadPoolExecutor(2) as pool:
        features = np.stack(list(pool.map(_flow_features, rendered.clips)))
    linear = _accuracy(
        make_pipeline(StandardScaler(), LogisticRegression(C=0.03, max_iter=500)), features, rendered.classes
    )
    forest = _accuracy(_forest(), features, rendered.classes)
    print("flow", linear, forest)
    assert min(linear, forest) >= 4 * CHANCE


def test_files_are_as_the_settings_say(rendered: Rendered) -> None:
    """Else a user who changes size, rate or length gets something else."""
    assert {clip.shape[1:] for clip in rendered.clips} == {(96, 96, 3)}
    truth = _rows(rendered.folder / "truth.csv")
    assert [len(clip) for clip in rendered.clips] == [int(row["frames"]) for row in truth]
    assert min(map(len, rendered.clips)) == 24
    assert max(map(len, rendered.clips)) == 40
    with av.open(str(rendered.folder / truth[0]["path"])) as file:
        assert file.streams.video[0].codec_context.name == "h264"
        assert file.streams.video[0].average_rate == 16
        assert file.streams.audio[0].codec_context.name == "aac"
        assert file.streams.audio[0].rate == SAMPLE_RATE


def test_frames_survive_the_encoding(rendered: Rendered) -> None:
    """Else the codec, not the world, decides what can be seen."""
    video = world.cast_videos(rendered.source, 0, "pool")[5]
    drawn, _ = world.render_video(rendered.source, 0, "pool", 5, video)
    error = drawn.astype(float) - rendered.clips[5]
    # Chroma is subsampled, so colours at edges may differ; brightness may not.
    assert np.sqrt((error.mean(-1) ** 2).mean()) < 6


def test_a_few_videos_have_no_sound(rendered: Rendered) -> None:
    """Else the way of clips without sound is never exercised before a user's own videos come."""
    truth = _rows(rendered.folder / "truth.csv")
    silent = [row for row in truth if row["sound"] == "0"]
    assert 0.02 * VIDEOS <= len(silent) <= 0.09 * VIDEOS
    for row in silent + [row for row in truth if row["sound"] == "1"][:20]:
        with av.open(str(rendered.folder / row["path"])) as file:
            assert len(file.streams.audio) == int(row["sound"]), row


def _with_sound(rendered: Rendered, *classes: str) -> list[tuple[int, world.WorldVideo]]:
    videos = world.cast_videos(rendered.source, 0, "pool")
    return [(index, video) for index, video in enumerate(videos) if video.sound and video.action in classes]


def test_impacts_are_heard_when_they_are_seen(rendered: Rendered) -> None:
    """Else sound and picture could not be aligned."""
    rises = []
    for index, video in _with_sound(rendered, "bounce", "collide"):
        power = _sound(rendered.folder / video.path).astype(float) ** 2
        for moment in impacts(world.motion_of(rendered.source, 0, "pool", index, video)):
            middle = round(moment * SAMPLE_RATE)
            after, before = power[middle : middle + 400], power[middle - 600 : middle - 200]
            if moment > 0.1 and len(after) == 400:
                rises.append(np.log10(after.mean() / before.mean()))
    assert len(rises) > 50
    assert np.mean(np.array(rises) > 0.5) > 0.9


def test_impacts_are_where_the_motion_turns() -> None:
    """Else an impact would sound in mid-air: a bounce turns sharply at the floor, a collision when the gap closes."""
    rng = np.random.default_rng(0)
    for name in ("bounce", "collide"):
        for _ in range(20):
            motion = draw_motion(name, 2.5, rng)
            # A push turns things sharply, too.
            motion = replace(motion, travel=replace(motion.travel, push_frequency=0.0))
            moments = impacts(motion)
            assert 1 <= len(moments) <= 4
            for moment in moments:
                centres = track(motion, moment + np.array([-0.02, -0.01, 0.0, 0.01, 0.02])).centres
                velocity = np.diff(centres, axis=1)
                bend = np.linalg.norm(velocity[0, 2] - velocity[0, 1])
                assert bend > 5 * np.linalg.norm(velocity[0, 1] - velocity[0, 0])
            if name == "collide" and len(moments):
                at = track(motion, moments)
                apart = np.linalg.norm(at.centres[1] - at.centres[0], axis=-1)
                np.testing.assert_allclose(apart, at.radii.sum(0), atol=1e-9)


def test_pitch_follows_speed(rendered: Rendered) -> None:
    """Else sound says nothing about motion between impacts."""
    window = 1024
    agreement = []
    for index, video in _with_sound(rendered, "swing", "orbit"):
        sound = _sound(rendered.folder / video.path)
        pieces = sound[: len(sound) // window * window].reshape(-1, window) * np.hanning(window)
        power = np.abs(np.fft.rfft(pieces)) ** 2
        pitch = power @ np.fft.rfftfreq(window, 1 / SAMPLE_RATE) / power.sum(1)
        times, speeds = rim_speeds(world.motion_of(rendered.source, 0, "pool", index, video))
        speed = np.interp((np.arange(len(pitch)) + 0.5) * window / SAMPLE_RATE, times, speeds.mean(0))
        agreement.append(np.corrcoef(pitch, speed)[0, 1])
    assert np.mean(agreement) > 0.6


def test_time_has_an_arrow_in_all_classes_alike() -> None:
    """Else whether a clip plays backward could be told from its codec alone."""
    times = np.arange(0, 4, 0.01)
    for name in CLASSES:
        slowing = []
        for seed in range(20):
            motion = draw_motion(name, 4.0, np.random.default_rng(seed))
            for wander in (motion.travel, motion.pan):
                speeds = np.linalg.norm(np.diff(wander.at(times), axis=0), axis=1)
                slowing.append((np.diff(speeds) < 0).mean())
                # A push: faster by more than half from one moment to the next, about as often as pushes come.
                assert (speeds[1:] > 1.5 * speeds[:-1]).sum() >= 2
        assert np.mean(slowing) > 0.75


def test_a_push_makes_things_glow_and_the_glow_fades() -> None:
    travel = draw_motion("rotate", 4.0, np.random.default_rng(0)).travel
    pushes = (np.arange(1, 4) - travel.push_phase) / travel.push_frequency
    assert travel.glow(pushes + 1e-9) == pytest.approx([1, 1, 1])
    fading = travel.glow(pushes[0] + 0.1 * np.arange(1, 6))
    assert (np.diff(fading) < 0).all()
    assert fading.min() > DIM
    assert fading.max() < 1
    assert replace(travel, push_frequency=0.0).glow(pushes).tolist() == [DIM] * 3


def test_bright_places_sound_higher() -> None:
    """Else a single picture and the sound of its video would have nothing in common."""
    motion = draw_motion("translate", 2.0, np.random.default_rng(0))
    middles = []
    for brightness in (0.0, 0.15, 0.25, 0.9):
        spectrum = np.abs(np.fft.rfft(make_sound(motion, brightness, np.random.default_rng(1)).astype(float))) ** 2
        pitches = np.fft.rfftfreq(2 * SAMPLE_RATE, 1 / SAMPLE_RATE)
        high = pitches > 1400
        middles.append((spectrum * pitches)[high].sum() / spectrum[high].sum())
    assert (np.diff(middles) > 500).all()


def test_single_times_look_alike_in_all_classes() -> None:
    """Else sizes, gaps or places in a still picture would tell the class."""
    time = np.array([0.7])
    sizes, gaps, places = {}, {}, {}
    for name in CLASSES:
        rng = np.random.default_rng(1)
        seen = [track(draw_motion(name, 2.0, rng), time) for _ in range(800)]
        radii = np.array([one.radii[:, 0] for one in seen])
        centres = np.array([one.centres[:, 0] for one in seen])
        sizes[name] = np.quantile(radii, [0.02, 0.25, 0.5, 0.75, 0.98])
        apart = np.linalg.norm(centres[:, 1] - centres[:, 0], axis=1)
        gaps[name] = np.quantile(apart - radii.sum(1), [0.1, 0.5, 0.9])
        places[name] = np.quantile(np.abs(centres), [0.1, 0.5, 0.9])
        assert radii.min() >= RADII[0] - 1e-12
        assert radii.max() <= RADII[1] + 1e-12
        # At least the middle of an object is always in view.
        assert np.abs(centres).max() < 0.5
    for table, tolerance in ((sizes, 0.005), (gaps, 0.016), (places, 0.025)):
        for name in CLASSES:
            np.testing.assert_allclose(table[name], table["translate"], atol=tolerance, err_msg=name)


def _shares(videos: list[world.WorldVideo], key: str) -> np.ndarray:
    return np.array(sorted(Counter(getattr(video, key) for video in videos).values(), reverse=True)) / len(videos)


@pytest.mark.parametrize("count", [128, 300, 1000])
@pytest.mark.parametrize(
    ("settings", "classes", "backgrounds"),
    [
        ({}, "zipf", "uniform"),
        ({"classes": "uniform"}, "uniform", "uniform"),
        ({"classes": "uniform", "backgrounds": "zipf"}, "uniform", "zipf"),
        ({"part": "labelled", "classes": "zipf"}, "uniform", "uniform"),
    ],
)
def test_classes_and_backgrounds_follow_their_law(
    settings: dict[str, str], classes: str, backgrounds: str, count: int
) -> None:
    """Else the fitness by Zipf's law is tried on a world that does not follow it, and controls control nothing."""
    videos = world.cast_videos(_source(videos=count, **settings), 0, "pool")
    for key, law, bins in (("action", classes, len(CLASSES)), ("background", backgrounds, len(BACKGROUNDS))):
        wanted = 1 / np.arange(1, bins + 1) if law == "zipf" else np.ones(bins)
        # Backgrounds of a labelled set are drawn per source video, of which there are half as many.
        atol = 10 / count
        np.testing.assert_allclose(_shares(videos, key), wanted / wanted.sum(), atol=atol, err_msg=key)


@pytest.mark.parametrize("part", ["pool", "labelled"])
def test_classes_are_independent_of_everything_else(part: str) -> None:
    """Else background, sound track, split or a neighbour in the same source video would give the class away."""
    from scipy.stats import chi2_contingency

    videos = world.cast_videos(_source(videos=4000, part=part, classes="uniform"), 0, "pool")
    actions = [video.action for video in videos]
    others = {"background": [video.background for video in videos], "sound": [video.sound for video in videos]}
    others["length"] = [round(2 * video.seconds) for video in videos]
    if part == "labelled":
        others["split"] = [video.split for video in videos]
    for name, values in others.items():
        table = [
            [sum(pair == (a, v) for pair in zip(actions, values, strict=True)) for v in set(values)] for a in CLASSES
        ]
        assert chi2_contingency(np.array(table)).pvalue > 1e-3, name
    neighbours = Counter(zip(actions[::2], actions[1::2], strict=True))
    table = [[neighbours[one, two] for two in CLASSES] for one in CLASSES]
    assert chi2_contingency(np.array(table)).pvalue > 1e-3


def test_labelled_part_has_three_parts_that_share_no_source_video(tmp_path: Path) -> None:
    """Else a score would be measured on what was trained on, or a part would be missing."""
    world.write_world(_source(videos=24, part="labelled", seconds=(0.5, 0.5)), 0, "labelled", tmp_path, 2)
    rows = _rows(tmp_path / "videos.csv")
    assert list(rows[0]) == ["path", "label", "split_1", "source_video"]
    assert all((tmp_path / row["path"]).is_file() and row["label"] in CLASSES for row in rows)
    assert [row["class"] for row in _rows(tmp_path / "truth.csv")] == [row["label"] for row in rows]
    videos = world.cast_videos(_source(videos=400, part="labelled"), 0, "labelled")
    parts: dict[int, set[str]] = {}
    for video in videos:
        parts.setdefault(video.source, set()).add(video.split)
    assert len(parts) == 200
    assert all(len(found) == 1 for found in parts.values())
    shares = {part: sum(video.split == part for video in videos) / 400 for part in ("train", "validation", "test")}
    assert shares == pytest.approx({"train": 0.50, "validation": 0.15, "test": 0.35}, abs=0.03)


def _bytes(
    folder: Path, settings: dict[str, object], collection: str = "pool", seed: int = 0, threads: int = 1
) -> dict:
    folder.mkdir()
    world.write_world(_source(seconds=(0.5, 1.0), **settings), seed, collection, folder, threads)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_same_seed_same_bytes_and_more_videos_keep_the_earlier_ones(tmp_path: Path) -> None:
    """Else every rerun, and every growing pool, would redo all that follows."""
    once = _bytes(tmp_path / "once", {"videos": 6})
    assert _bytes(tmp_path / "again", {"videos": 6}, threads=3) == once
    more = _bytes(tmp_path / "more", {"videos": 9}, threads=2)
    assert len(more) == 11
    for name, content in once.items():
        assert more[name].startswith(content) if name.endswith(".csv") else more[name] == content
    few = world.cast_videos(_source(videos=100), 0, "pool")
    assert world.cast_videos(_source(videos=1000), 0, "pool")[:100] == few


def test_pool_and_labelled_set_share_no_video(tmp_path: Path) -> None:
    """Else test clips would be in the pool."""
    worlds = [
        _bytes(tmp_path / "pool", {"videos": 4}),
        _bytes(tmp_path / "part", {"videos": 4, "part": "labelled"}),
        _bytes(tmp_path / "name", {"videos": 4}, collection="other"),
        _bytes(tmp_path / "seed", {"videos": 4}, seed=1),
    ]
    videos = [content for found in worlds for name, content in found.items() if name.endswith(".mp4")]
    assert len(set(videos)) == len(videos) == 16


def test_long_and_large_videos_keep_their_objects_in_view() -> None:
    """Else a user's own length shows an empty scene after a while."""
    rng = np.random.default_rng(2)
    for name in CLASSES:
        centres = track(draw_motion(name, 60.0, rng), np.arange(0, 60, 0.05)).centres
        assert np.abs(centres).max() < 0.5


def _stage(out: Path, settings: object, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipeline_src.stages.render_world", "--settings", json.dumps(settings)]
    command += ["--collection", "pool", "--out", str(out), *more]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_stage_writes_a_whole_folder(tmp_path: Path) -> None:
    """Else the rule would not find its output, or would find half of one."""
    source = {"kind": "world", "videos": 3, "size": 32, "seconds": [0.5, 0.6], "frame_rate": 29.97}
    done = _stage(tmp_path / "data: -x" / "world", {"source": source, "seed": 3}, "--threads", "2")
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "data: -x" / "world"
    names = ["000000.mp4", "000001.mp4", "000002.mp4", "truth.csv", "videos.csv"]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert _frames(folder / "000000.mp4").shape[1:] == (32, 32, 3)
    assert [path.name for path in folder.parent.iterdir()] == ["world"]


def test_stage_names_a_wrong_setting(tmp_path: Path) -> None:
    done = _stage(tmp_path / "world", {"source": {"kind": "world", "videos": 0}, "seed": 0})
    assert done.returncode == 2
    assert done.stderr.startswith("error: source.videos: 0")
    assert not (tmp_path / "world").exists()


def test_an_ffmpeg_that_cannot_encode_is_named(tmp_path: Path) -> None:
    """Else the user sees a traceback instead of what to install."""
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\necho 'Unknown encoder libx264' >&2\nexit 1\n")
    program.chmod(0o755)
    frames = np.zeros((2, 32, 32, 3), np.uint8)
    with pytest.raises(UserError, match=r"cannot encode a.mp4 \(Unknown encoder libx264\); needed: an ffmpeg with"):
        world_encoding.encode_video(tmp_path / "a.mp4", frames, 8.0, None, str(program))
