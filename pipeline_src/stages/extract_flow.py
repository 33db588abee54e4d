"""Optical flow of a shard's clips."""

import argparse
import math
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from pipeline_src.clips.decode import DecodeTask
from pipeline_src.clips.rows import StatusRow, read_plan, read_status, write_status
from pipeline_src.errors import UserError
from pipeline_src.features.optical_flow import ZERO, ClipFlow, flow_of_clips, flow_of_media, scale
from pipeline_src.settings import catalogue
from pipeline_src.settings.base import Settings
from pipeline_src.settings.clips import DecodeSettings
from pipeline_src.settings.features import FlowSettings
from pipeline_src.shards.reader import ShardReader
from pipeline_src.shards.writer import ShardWriter
from pipeline_src.stages.command import parser, run, settings_from


class StageSettings(Settings):
    """The settings of this stage; decode is needed by methods that read compressed video."""

    flow: FlowSettings
    decode: DecodeSettings | None = None


def main() -> None:
    """Write flow/{shard}.h5 from frames/{shard}.h5: N - 1 rows for a clip with N frames."""
    arguments = _arguments()
    settings = settings_from(arguments.settings, StageSettings)
    flow = settings.flow
    frames = ShardReader(arguments.frames)
    clips = _from_media(arguments, settings, frames) if catalogue.reads_media(flow.method) else None
    rows = []
    clipped, squared, values = 0, 0.0, 0
    with ShardWriter(
        arguments.out,
        modality="flow",
        item_shape=(*frames.item_shape[:2], 2),
        dtype="uint8",
        attributes={
            "frame_rate": frames.attributes["frame_rate"],
            "method": flow.method,
            "units": "pixel/frame",
            "bound": flow.bound,
            "scale": scale(flow.bound),
            "zero": ZERO,
        },
    ) as shard:
        made = clips or flow_of_clips(frames, flow, arguments.threads)
        for clip in tqdm(made, desc="extract_flow", unit="clip", total=len(frames.clip_ids)):
            stored = clip.stored
            shard.add(clip.clip_id, stored.flow if stored else None)
            rows.append(StatusRow(clip.clip_id, "no_flow" if clip.reason else "ok", clip.reason))
            if stored:
                clipped += stored.clipped
                squared += stored.squared_error
                values += stored.flow.size
        shard.attributes["clipped_fraction"] = clipped / max(values, 1)
        shard.attributes["roundtrip_error"] = math.sqrt(squared / max(values, 1))
    write_status(arguments.status, rows, fetched=False)


def _from_media(arguments: argparse.Namespace, settings: StageSettings, frames: ShardReader) -> Iterator[ClipFlow]:
    if arguments.plan is None or arguments.fetched is None or settings.decode is None:
        raise UserError(f"flow.method: {settings.flow.method} - needs --plan, --fetched and the settings of decode")
    clips, arrived = read_plan(arguments.plan), read_status(arguments.fetched)
    if [clip.clip_id for clip in clips] != frames.clip_ids or [row.clip_id for row in arrived] != frames.clip_ids:
        raise UserError(
            f"{arguments.frames}: its clips differ from {arguments.plan} or {arguments.fetched};"
            " delete it and run snakemake again"
        )
    tasks = [
        (clip.clip_id, DecodeTask(row.file, row.start_s, clip.duration_s) if row.status == "ok" else None, int(length))
        for clip, row, length in zip(clips, arrived, frames.lengths, strict=True)
    ]
    return flow_of_media(tasks, settings.flow, settings.decode, arguments.threads)


def _threads(text: str) -> int:
    threads = int(text)
    if threads < 1:
        raise argparse.ArgumentTypeError(f"{threads} - allowed: 1 or more")
    return threads


def _arguments() -> argparse.Namespace:
    options = parser(__doc__)
    options.add_argument("--frames", required=True, help="the shard of frames")
    options.add_argument("--plan", type=Path, help="plan/{shard}.csv, for methods that read compressed video")
    options.add_argument("--fetched", type=Path, help="status/fetch/{shard}.csv, for these methods")
    options.add_argument("--out", required=True, help="the shard of flow to write")
    options.add_argument("--status", required=True, type=Path, help="status/flow/{shard}.csv to write")
    options.add_argument("--threads", type=_threads, default=1, help="threads to spread the clips over")
    return options.parse_args()


if __name__ == "__main__":
    run(main)
