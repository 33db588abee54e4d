"""How frames are best stored: bytes, loss, writing and reading of each codec, and reading against video decoders.

The clips are those of shared/data/real beside the checkout, else rendered ones. Codecs and decoders that are not
installed are left out. All figures are per core, in CPU time.
"""

import random
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pipeline_src.clips.decode import DecodeTask, decode_all
from pipeline_src.settings.clips import DecodeSettings
from pipeline_src.shards import jpeg
from pipeline_src.shards.reader import ShardReader
from pipeline_src.shards.writer import ShardWriter

REAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "real"
CLIPS = 60
SECONDS = 10.0
WINDOW = 16
WINDOWS = 60
ROUNDS = 3
SETTINGS = DecodeSettings()
BAR_RATIO, BAR_BYTES, BAR_DECIBEL = 10, 8, 38
Read = Callable[[int, int], object]


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def find_videos(rendered: Path) -> dict[str, list[Path]]:
    actions = sorted((REAL / "actions").glob("*/*.mp4"))
    if not actions:
        return {"rendered": sorted(rendered.glob("*.mp4"))}
    random.Random(0).shuffle(actions)
    return {"actions": actions[:CLIPS], "long": sorted((REAL / "long").glob("*.[mow]*"))}


def decoded(videos: list[Path]) -> Iterator[tuple[Path, np.ndarray]]:
    tasks = [DecodeTask(str(path), 0.0, SECONDS) for path in videos]
    for path, found in zip(videos, decode_all(tasks, SETTINGS, 1, with_sound=False), strict=True):
        if len(found.frames) >= WINDOW:
            yield path, found.frames


def write(path: Path, clips: list[np.ndarray], **codec: Any) -> float:
    """CPU seconds that a shard takes."""
    started = cpu_seconds()
    with ShardWriter(path, modality="frames", item_shape=clips[0].shape[1:], dtype=np.uint8, **codec) as shard:
        for number, clip in enumerate(clips):
            shard.add(str(number), clip)
    return cpu_seconds() - started


def write_filtered(path: Path, clips: list[np.ndarray], **filters: Any) -> float:
    """The same by one of HDF5's filters that shards do not offer."""
    import h5py

    started, frames = cpu_seconds(), np.concatenate(clips)
    with h5py.File(path, "w", libver="v110") as file:
        file.create_dataset("data", data=frames, chunks=(5, *frames.shape[1:]), **filters)
    return cpu_seconds() - started


def read_filtered(path: Path, clips: list[np.ndarray]) -> Read:
    import h5py

    starts = np.cumsum([0, *map(len, clips)])
    data = h5py.File(path, "r")["data"]
    return lambda clip, start: data[starts[clip] + start : starts[clip] + start + WINDOW]


def from_shard(path: Path) -> Read:
    reader = ShardReader(path)
    return lambda clip, start: reader.read(clip, start, start + WINDOW)


def plugin_filters() -> dict[str, Any]:
    try:
        import hdf5plugin
    except ImportError:
        return {}
    blosc = {"cname": "zstd", "clevel": 5}
    return {
        "zstd 3 (hdf5plugin)": hdf5plugin.Zstd(clevel=3),
        "blosc2 zstd shuffle (hdf5plugin)": hdf5plugin.Blosc2(filters=hdf5plugin.Blosc2.SHUFFLE, **blosc),
        "blosc2 zstd bitshuffle (hdf5plugin)": hdf5plugin.Blosc2(filters=hdf5plugin.Blosc2.BITSHUFFLE, **blosc),
        "blosc2 lz4 (hdf5plugin)": hdf5plugin.Blosc2(cname="lz4", clevel=5),
    }


def psnr(clips: list[np.ndarray], reader: ShardReader) -> float:
    """Mean over frames, in dB; a frame without any error counts as 78 dB, half a step in one value of a hundred."""
    errors = [np.square(clip.astype(np.float32) - reader.read(row)).mean((1, 2, 3)) for row, clip in enumerate(clips)]
    return float(np.mean(10 * np.log10(255**2 / np.maximum(np.concatenate(errors), 1e-3))))


def windows_of(clips: list[np.ndarray]) -> list[tuple[int, int]]:
    drawn = random.Random(1)
    chosen = [drawn.randrange(len(clips)) for _ in range(WINDOWS)]
    return [(clip, drawn.randrange(len(clips[clip]) - WINDOW + 1)) for clip in chosen]


def fastest(reads: dict[str, Read], windows: list[tuple[int, int]], rounds: int = ROUNDS) -> dict[str, float]:
    """Windows per CPU second of each, the best of alternating rounds."""
    best = dict.fromkeys(reads, 0.0)
    for _ in range(rounds):
        for name, read in reads.items():
            started = cpu_seconds()
            for clip, start in windows:
                read(clip, start)
            best[name] = max(best[name], len(windows) / (cpu_seconds() - started))
    return best


def peers(videos: list[Path]) -> dict[str, Read]:
    """Video decoders, each its fastest way: a file is opened for a window, one thread, scaled while decoding."""
    size = (SETTINGS.height, SETTINGS.width)

    def times(start: int) -> np.ndarray:
        return (start + np.arange(WINDOW)) / SETTINGS.frame_rate

    def by_pyav(clip: int, start: int) -> np.ndarray:
        import av

        out, filled, shown = np.empty((WINDOW, *size, 3), np.uint8), 0, None
        with av.open(str(videos[clip])) as file:
            stream = file.streams.video[0]
            stream.thread_type = "NONE"
            begin = stream.start_time or 0
            wanted = begin + np.round(times(start) / float(stream.time_base)).astype(int)
            if start:
                file.seek(int(wanted[0]), stream=stream)
            for frame in file.decode(stream):
                while filled < WINDOW and shown is not None and wanted[filled] < frame.pts:
                    out[filled] = shown.to_ndarray(format="rgb24", width=size[1], height=size[0])
                    filled += 1
                shown = frame
                if filled == WINDOW:
                    return out
            for place in range(filled, WINDOW):
                out[place] = shown.to_ndarray(format="rgb24", width=size[1], height=size[0])
        return out

    found: dict[str, Read] = {"PyAV": by_pyav}
    try:
        import decord

        def by_decord(clip: int, start: int) -> np.ndarray:
            video = decord.VideoReader(
                str(videos[clip]), ctx=decord.cpu(0), width=size[1], height=size[0], num_threads=1
            )
            wanted = np.round(times(start) * video.get_avg_fps()).astype(int)
            return video.get_batch(np.minimum(wanted, len(video) - 1)).asnumpy()

        found["decord"] = by_decord
    except ImportError:
        pass
    try:
        import torch
        from torchcodec.decoders import VideoDecoder
        from torchcodec.transforms import Resize

        torch.set_num_threads(1)

        def by_torchcodec(mode: str) -> Read:
            def read(clip: int, start: int) -> np.ndarray:
                video = VideoDecoder(
                    str(videos[clip]), dimension_order="NHWC", seek_mode=mode, transforms=[Resize(size)]
                )
                facts = video.metadata
                begin = facts.begin_stream_seconds or 0.0
                wanted = np.minimum(begin + times(start), facts.end_stream_seconds - 1e-3)
                return video.get_frames_played_at(torch.as_tensor(wanted)).data.numpy()

            return read

        found["torchcodec exact"] = by_torchcodec("exact")
        try:
            for clip in range(len(videos)):
                by_torchcodec("approximate")(clip, 0)
            found["torchcodec approximate"] = by_torchcodec("approximate")
        except (RuntimeError, IndexError, TypeError):
            pass  # Some containers lack what it needs.
    except (ImportError, RuntimeError, OSError):
        pass  # torchcodec also fails to load where FFmpeg's libraries are missing.
    return found


def compare_codecs(folder: Path, clips: list[np.ndarray]) -> None:
    raw, windows = sum(clip.nbytes for clip in clips), windows_of(clips)
    print(f"{'codec':36} {'bytes/clip':>10} {'of raw':>8} {'PSNR dB':>8} {'writes frames/s':>15} {'windows/s':>10}")

    def row(name: str, path: Path, took: float, read: Read, decibel: float | None) -> None:
        size, speed = path.stat().st_size, fastest({name: read}, windows)[name]
        loss = "lossless" if decibel is None else f"{decibel:.1f}"
        frames = sum(map(len, clips)) / took
        print(
            f"{name:36} {size / len(clips):10.0f} {f'1/{raw / size:.1f}':>8} {loss:>8} {frames:15.0f} {speed:10.0f}",
            flush=True,
        )

    for codec in ("raw", "lzf", "gzip"):
        path = folder / f"{codec}.h5"
        took = write(path, clips, codec=codec)
        row(codec, path, took, from_shard(path), None)
    for number, (name, filters) in enumerate(plugin_filters().items()):
        path = folder / f"filter{number}.h5"
        took = write_filtered(path, clips, **filters)
        row(name, path, took, read_filtered(path, clips), None)
    for quality in (80, 85, 89, 92, 95):
        path = folder / f"jpeg{quality}.h5"
        took = write(path, clips, codec="jpeg", jpeg_quality=quality)
        row(f"jpeg {quality}", path, took, from_shard(path), psnr(clips, ShardReader(path)))


def compare_decoders(path: Path, clips: list[np.ndarray]) -> None:
    """The decoders of JPEG that a machine may have: the same pixels, at different speeds."""
    reader, whole = ShardReader(path), jpeg._decoder
    expected = [reader.read(row) for row in range(len(clips))]
    for module, decoder in jpeg.DECODERS.items():
        jpeg._decoder = lambda decoder=decoder: decoder
        try:
            differing = sum(int((reader.read(row) != pixels).sum()) for row, pixels in enumerate(expected))
            speed = fastest({module: from_shard(path)}, windows_of(clips))[module]
            print(f"jpeg {SETTINGS.jpeg_quality} read by {module:12} {differing} values differ {speed:10.0f} windows/s")
        except ImportError:
            print(f"jpeg {SETTINGS.jpeg_quality} read by {module:12} not installed")
        finally:
            jpeg._decoder = whole


def compare(folder: Path, rendered: Path) -> None:
    """Print all tables.

    Args:
        folder: for shards.
        rendered: videos to take where there are no real ones.
    """
    found = {name: dict(decoded(videos)) for name, videos in find_videos(rendered).items()}
    for name, clips_of in found.items():
        print(f"\n{name}: {len(clips_of)} clips, {sum(map(len, clips_of.values()))} frames of 128x128 at 12/s")
        compare_codecs(folder, list(clips_of.values()))
    print()
    compare_decoders(folder / f"jpeg{SETTINGS.jpeg_quality}.h5", list(list(found.values())[-1].values()))
    for name, clips_of in found.items():
        clips, path = list(clips_of.values()), folder / "default.h5"
        path.unlink(missing_ok=True)
        write(path, clips, codec=SETTINGS.codec, jpeg_quality=SETTINGS.jpeg_quality)
        speeds = fastest({"shard": from_shard(path), **peers(list(clips_of))}, windows_of(clips))
        ours = speeds.pop("shard")
        told = ", ".join(f"{peer} {speed:.0f}" for peer, speed in speeds.items())
        print(f"{name}: {ours:.0f} windows of 16 frames/s per core; {told}")
        size = sum(clip.nbytes for clip in clips) / path.stat().st_size
        decibel, times = psnr(clips, ShardReader(path)), ours / max(speeds.values())
        print(
            f"  {times:.1f} x the fastest (bar: {BAR_RATIO}), 1/{size:.1f} of raw bytes (bar: 1/{BAR_BYTES}),"
            f" {decibel:.1f} dB (bar: {BAR_DECIBEL})",
            flush=True,
        )
