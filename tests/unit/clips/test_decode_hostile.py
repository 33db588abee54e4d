"""Broken and hostile files cost their own row and nothing else."""

import csv
import ctypes
import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline_src.clips.decode import Decoded, DecodeTask, decode_clip
from pipeline_src.clips.ffmpeg import ffmpeg_path
from pipeline_src.clips.probe import Probe
from pipeline_src.settings.clips import DecodeSettings
from pipeline_src.shards.reader import ShardReader

ROOT = Path(__file__).resolve().parents[3]
SEEDS = {
    "a.mp4": ("-c:v", "libx264", "-c:a", "aac"),
    "b.mp4": (
        "-c:v",
        "libx265",
        "-x265-params",
        "log-level=none",
        "-c:a",
        "aac",
        "-movflags",
        "frag_keyframe+empty_moov",
    ),
    "c.mov": ("-c:v", "mjpeg", "-c:a", "pcm_s16le"),
    "d.mkv": ("-c:v", "ffv1", "-c:a", "flac"),
    "e.webm": ("-c:v", "libvpx", "-c:a", "libopus"),
    "f.avi": ("-c:v", "mpeg4", "-c:a", "libmp3lame"),
    "g.ts": ("-c:v", "mpeg2video", "-c:a", "mp2"),
    "h.mpg": ("-c:v", "mpeg1video", "-r", "25", "-c:a", "mp2"),
    "i.flv": ("-c:v", "flv1", "-c:a", "libmp3lame"),
    "j.wmv": ("-c:v", "wmv2", "-c:a", "wmav2"),
    "k.ogv": ("-c:v", "libtheora", "-c:a", "libvorbis"),
    "l.3gp": ("-c:v", "h263", "-s", "128x96", "-an"),
    "m.gif": ("-an",),
    "n.mxf": ("-c:v", "mpeg2video", "-r", "25", "-c:a", "pcm_s16le", "-ar", "48000"),
}
MUTANTS = 336
TIMEOUT_S = 10.0


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory, ffmpeg: Callable[..., None]) -> list[tuple[str, bytes]]:
    folder = tmp_path_factory.mktemp("seeds")
    inputs = ("-f", "lavfi", "-i", "testsrc2=s=64x64:r=10:d=1", "-f", "lavfi", "-i", "sine=d=1")
    for name, codecs in SEEDS.items():
        try:
            pixels = () if name.endswith((".gif", ".mov")) else ("-pix_fmt", "yuv420p")
            ffmpeg(*inputs, *pixels, *codecs, folder / name)
        except subprocess.CalledProcessError:
            (folder / name).unlink(missing_ok=True)  # An ffmpeg without this encoder.
    made = [(path.suffix, path.read_bytes()) for path in sorted(folder.iterdir())]
    assert len(made) >= 10
    return made


def mutant(seeds: list[tuple[str, bytes]], number: int) -> tuple[str, bytes]:
    """A seed with bits flipped, bytes overwritten, cut, doubled or with another one's head."""
    drawn = random.Random(number)
    suffix, original = seeds[number % len(seeds)]
    data = bytearray(original)
    head = min(len(data), 4096)
    kind = number // len(seeds) % 6
    if kind in (0, 1):  # All over the file, or only where it says what it is.
        reach = (len(data), head)[kind]
        for _ in range(drawn.choice((1, 5, 40, 300))):
            data[drawn.randrange(reach)] ^= 1 << drawn.randrange(8)
    elif kind == 2:
        data = data[: drawn.randrange(len(data))]
    elif kind == 3:
        other = drawn.choice(seeds)[1]
        cut = drawn.choice((16, 200, 1000, 3000))
        data = bytearray(other[:cut]) + data[cut if drawn.random() < 0.5 else 0 :]
    elif kind == 4:
        for _ in range(drawn.choice((1, 8, 30))):  # Sizes and counts at their limits.
            place = drawn.randrange(max(1, head - 8))
            data[place : place + 4] = drawn.choice((b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff", b"\x80\0\0\0"))
    else:
        start, stop = sorted(drawn.randrange(len(data)) for _ in range(2))
        data = data[:stop] + data[start:] if drawn.random() < 0.5 else data[:start] + data[stop:]
    return suffix, bytes(data)


def test_mutated_files_never_break_a_shard(seeds: list[tuple[str, bytes]], tmp_path: Path) -> None:
    names = []
    (tmp_path / "media").mkdir()
    for number in range(MUTANTS):
        suffix, data = mutant(seeds, number)
        names.append(f"m{number:03d}{suffix}")
        (tmp_path / "media" / names[-1]).write_bytes(data)
    header = "clip_id,path,start_s,duration_s,source_video,content,label\n"
    paths = [str(tmp_path / "media" / name) for name in names]
    starts = [("0", "")] * 3 + [("0.4", "0.5")]
    rows = [
        f"{name},{path},{','.join(starts[k % 4])},{name},,\n"
        for k, (name, path) in enumerate(zip(names, paths, strict=True))
    ]
    (tmp_path / "plan.csv").write_text(header + "".join(rows))
    fetched = [
        f"{name},ok,,{path},{starts[k % 4][0]},0\n" for k, (name, path) in enumerate(zip(names, paths, strict=True))
    ]
    (tmp_path / "fetched.csv").write_text("clip_id,status,reason,file,start_s,video_start_s\n" + "".join(fetched))
    limits = {"timeout_s": TIMEOUT_S, "max_duration_s": 5, "max_pixels": 1_000_000}
    settings = {"decode": {"frame_rate": 10, "height": 32, "width": 32, "sound_rate": 8000, **limits}}
    command = [sys.executable, "-m", "pipeline_src.stages.decode_clips", "--settings", json.dumps(settings)]
    command += ["--plan", str(tmp_path / "plan.csv"), "--fetched", str(tmp_path / "fetched.csv"), "--threads", "2"]
    for name in ("frames.h5", "sound.h5", "status.csv"):
        command += [f"--{name.partition('.')[0]}", str(tmp_path / "out" / name)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["frames.h5", "sound.h5", "status.csv"]
    status = list(csv.DictReader((tmp_path / "out" / "status.csv").open()))
    frames, sound = ShardReader(tmp_path / "out" / "frames.h5"), ShardReader(tmp_path / "out" / "sound.h5")
    assert [row["clip_id"] for row in status] == frames.clip_ids == sound.clip_ids == names
    for number, row in enumerate(status):
        length = int(frames.lengths[number])
        assert (row["status"] == "ok") == (length > 0) == (row["reason"] == ""), row
        assert length <= 50
        assert len(row["reason"]) <= 160
        assert str(tmp_path) not in row["reason"]
        frames.read(number)
    counts = {kind: sum(row["status"] == kind for row in status) for kind in {row["status"] for row in status}}
    assert counts["ok"] > MUTANTS / 4, "mutants that nothing can open test little"
    assert counts["undecodable"] > MUTANTS / 20


@contextmanager
def listening() -> Iterator[tuple[int, list[bytes]]]:
    """A server on this machine: its port, and what it was asked for."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        ended = threading.Event()

        def serve() -> None:
            while not ended.is_set():
                try:
                    connection, _ = server.accept()
                except TimeoutError:
                    continue
                with connection:
                    connection.settimeout(0.5)
                    try:
                        asked.append(connection.recv(4096))
                    except OSError:
                        asked.append(b"")

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1], asked
        finally:
            ended.set()
            thread.join()


class Watch:
    """Whether any process opens a file, by Linux's inotify."""

    IN_OPEN = 0x20

    def __init__(self, path: Path) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._handle = self._libc.inotify_init1(os.O_NONBLOCK)
        assert self._libc.inotify_add_watch(self._handle, os.fsencode(path), self.IN_OPEN) >= 0

    def opened(self) -> bool:
        try:
            return bool(os.read(self._handle, 65536))
        except BlockingIOError:
            return False

    def close(self) -> None:
        os.close(self._handle)


def box(kind: bytes, content: bytes) -> bytes:
    return (len(content) + 8).to_bytes(4, "big") + kind + content


def with_external_data(data: bytes, target: str) -> bytes:
    """A QuickTime file whose tracks say that their data lies in another file, named by an alias record."""
    record = bytes(10) + bytes([1]) + b"V".ljust(27, b"\0") + bytes(12)
    record += bytes([10]) + b"secret.mov".ljust(63, b"\0") + bytes(16) + b"\0\1\0\1" + bytes(16)
    name = target.encode() + b"\0" * (len(target) % 2)
    record += (2).to_bytes(2, "big") + len(target).to_bytes(2, "big") + name + b"\xff\xff\0\0"
    reference = bytes(4) + (1).to_bytes(4, "big") + box(b"alis", bytes(4) + record)

    def rebuilt(part: bytes) -> bytes:
        made, place = b"", 0
        while place + 8 <= len(part):
            size, kind = int.from_bytes(part[place : place + 4], "big"), part[place + 4 : place + 8]
            content = part[place + 8 : place + size]
            if kind in (b"moov", b"trak", b"mdia", b"minf", b"dinf"):
                content = rebuilt(content)
            made += box(kind, reference if kind == b"dref" else content)
            place += size
        return made

    return rebuilt(data)


def disguises(port: int, video: bytes, secret: Path) -> dict[str, bytes]:
    """File names and contents that ask a reader to open `secret` or to call this machine's server."""
    web, local = f"http://127.0.0.1:{port}/v.ts", str(secret)
    texts = {}
    for kind, target in (("web", web), ("file", local), ("name", secret.name)):
        texts |= {
            f"hls_{kind}": f"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\n{target}\n#EXT-X-ENDLIST\n",
            f"master_{kind}": f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{target}\n",
            f"key_{kind}": f'#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="{target}"\n#EXTINF:3,\n{target}\n#EXT-X-ENDLIST\n',
            f"concat_{kind}": f"ffconcat version 1.0\nfile '{target}'\n",
            f"dash_{kind}": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"'
            ' mediaPresentationDuration="PT3S" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011"><Period>'
            '<AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1">'
            f"<BaseURL>{target}</BaseURL></Representation></AdaptationSet></Period></MPD>",
            f"pls_{kind}": f"[playlist]\nFile1={target}\nNumberOfEntries=1\n",
            f"asx_{kind}": f'<asx version="3.0"><entry><ref href="{target}"/></entry></asx>',
            f"smil_{kind}": f'<smil><body><video src="{target}"/></body></smil>',
            f"ram_{kind}": f"{target}\n",
            f"reference_{kind}": f"[Reference]\nRef1={target}\n",
            f"avisynth_{kind}": f'DirectShowSource("{target}")\n',
            f"imf_{kind}": f"<CompositionPlaylist><Asset><Path>{target}</Path></Asset></CompositionPlaylist>",
        }
    texts["sdp"] = (
        f"v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 96\na=rtpmap:96 H264/90000\n"
    )
    texts["rtsp"] = f"RTSPtextRTSP://127.0.0.1:{port}/v\n"
    texts["idx"] = "# VobSub index file, v7 (do not modify this line!)\nid: en, index: 0\n"
    texts["srt"] = f"1\n00:00:00,000 --> 00:00:01,000\n{local}\n"
    suffixes = {
        "hls": "m3u8",
        "concat": "ffconcat",
        "dash": "mpd",
        "sdp": "sdp",
        "idx": "idx",
        "srt": "srt",
        "avisynth": "avs",
    }
    found = {}
    for name, text in texts.items():
        for suffix in ("mp4", "mkv", suffixes.get(name.partition("_")[0], "txt")):
            found[f"{name}.{suffix}"] = text.encode()
    found["alias.mov"] = with_external_data(video, local)
    pattern = secret.name.replace("1", "%d", 1)
    found |= {
        pattern: video,
        f"concat:{secret.name}|{secret.name}": b"words",
        f"subfile,,start,0,end,0,,:{secret.name}": b"words",
        f"crypto:{secret.name}": b"words",
        f"cache:{secret.name}": b"words",
        f"http:127.0.0.1:{port}": b"words",
        f"tcp:127.0.0.1:{port}": b"words",
    }
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="opens are watched with Linux's inotify")
def test_a_list_dressed_as_a_video_opens_nothing_else(
    ffmpeg: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a video could read this machine's files into a data set, or call services of its network."""
    secret = tmp_path / "secret1.mov"
    ffmpeg("-f", "lavfi", "-i", "color=white:s=64x64:r=10:d=1", "-c:v", "mpeg4", secret)
    ffmpeg("-f", "lavfi", "-i", "color=black:s=64x64:r=10:d=1", "-c:v", "mpeg4", tmp_path / "black.mov")
    secret.with_suffix(".sub").write_bytes(secret.read_bytes())
    monkeypatch.chdir(tmp_path)
    settings = DecodeSettings(frame_rate=10, height=32, width=32, sound_rate=8000, timeout_s=10)

    def decode(name: str) -> Decoded:
        return decode_clip(DecodeTask(name, 0.0, None), settings, ffmpeg_path())

    with listening() as (port, asked):
        files = disguises(port, (tmp_path / "black.mov").read_bytes(), secret)
        for name, content in files.items():
            Path(name).write_bytes(content)
        watch = Watch(secret)
        # The traps are real: ffmpeg without the project's limits goes into them.
        bare = [ffmpeg_path(), "-v", "quiet", "-nostdin"]
        for options, name in (
            (["-enable_drefs", "1", "-use_absolute_path", "1"], "alias.mov"),
            (["-safe", "0", "-f", "concat"], "concat_file.ffconcat"),
            (["-safe", "0", "-f", "concat", "-protocol_whitelist", "file,http,tcp"], "concat_web.ffconcat"),
        ):
            subprocess.run([*bare, *options, "-i", name, "-f", "null", "-"], timeout=20)
            assert asked if "web" in name else watch.opened(), name
        asked.clear()
        watch.opened()
        results = {}
        for name in files:
            results[name] = decode(name)
            with pytest.MonkeyPatch.context() as unprobed:
                # ffmpeg itself must refuse, too: it may take a file for another format than the probe does.
                given = Probe(0, None, 64, 64, 0.0, None)
                unprobed.setattr("pipeline_src.clips.limits.probe", lambda *_, _given=given, **__: _given)
                direct = decode(name)
            assert not watch.opened(), name
            assert not asked, (name, asked)
            for result in (results[name], direct):
                assert result.status != "ok" or result.frames.max() < 50, f"{name} shows the other file"
        time.sleep(0.3)
        assert not asked
        watch.close()
    assert {name for name, found in results.items() if found.status == "ok"} == {"secret%d.mov"}
