"""Optical flow of a shard's clips."""

import argparse

from tqdm import tqdm

from pipeline_src.features.optical_flow import ZERO, flow_of_clips, scale
from pipeline_src.settings.base import Settings
from pipeline_src.settings.features import FlowSettings
from pipeline_src.shards.reader import ShardReader
from pipeline_src.shards.writer import ShardWriter
from pipeline_src.stages.command import parser, run, settings_from


class StageSettings(Settings):
    """The settings of this stage."""

    flow: FlowSettings


def main() -> None:
    """Write flow/{shard}.h5 from frames/{shard}.h5: N - 1 rows for a clip with N frames."""
    arguments = _arguments()
    flow = settings_from(arguments.settings, StageSettings).flow
    frames = ShardReader(arguments.frames)
    clipped = values = 0
    with ShardWriter(
        arguments.out,
        modality="flow",
        item_shape=(*frames.item_shape[:2], 2),
        dtype="uint8",
        attributes={
            "frame_rate": frames.attributes["frame_rate"],
            "method": flow.method,
            "units": "pixel/frame",
            "scale": scale(flow.bound),
            "zero": ZERO,
        },
    ) as shard:
        clips = flow_of_clips(frames, flow, arguments.threads)
        for clip in tqdm(clips, desc="extract_flow", unit="clip", total=len(frames.clip_ids)):
            shard.add(clip.clip_id, clip.flow)
            clipped += clip.clipped
            values += 0 if clip.flow is None else clip.flow.size
        shard.attributes["clipped_fraction"] = clipped / values if values else 0.0


def _threads(text: str) -> int:
    threads = int(text)
    if threads < 1:
        raise argparse.ArgumentTypeError(f"{threads} - allowed: 1 or more")
    return threads


def _arguments() -> argparse.Namespace:
    options = parser(__doc__)
    options.add_argument("--frames", required=True, help="the shard of frames")
    options.add_argument("--out", required=True, help="the shard of flow to write")
    options.add_argument("--threads", type=_threads, default=1, help="threads to spread the clips over")
    return options.parse_args()


if __name__ == "__main__":
    run(main)
