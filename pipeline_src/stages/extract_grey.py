"""Grey pictures of a shard's clips."""

import argparse

from tqdm import tqdm

from pipeline_src.features.grey import luma
from pipeline_src.settings.base import Settings
from pipeline_src.shards.reader import ShardReader
from pipeline_src.shards.writer import ShardWriter
from pipeline_src.stages.command import parser, run, settings_from


class StageSettings(Settings):
    """This stage has no settings."""


def main() -> None:
    """Write grey/{shard}.h5 from frames/{shard}.h5."""
    arguments = _arguments()
    settings_from(arguments.settings, StageSettings)
    frames = ShardReader(arguments.frames)
    with ShardWriter(
        arguments.out,
        modality="grey",
        item_shape=(*frames.item_shape[:2], 1),
        dtype="uint8",
        attributes={"frame_rate": frames.attributes["frame_rate"], "units": "luma, ITU-R BT.601, 0 to 255"},
    ) as shard:
        for row, clip_id in enumerate(tqdm(frames.clip_ids, desc="extract_grey", unit="clip")):
            shard.add(clip_id, luma(frames.read(row))[..., None])


def _arguments() -> argparse.Namespace:
    options = parser(__doc__)
    options.add_argument("--frames", required=True, help="the shard of frames")
    options.add_argument("--out", required=True, help="the shard of grey pictures to write")
    return options.parse_args()


if __name__ == "__main__":
    run(main)
