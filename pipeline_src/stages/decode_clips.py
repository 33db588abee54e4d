"""Decode a shard of clips into frames and sound."""

import sys
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from tqdm import tqdm

from pipeline_src.clips.decode import Decoded, DecodeTask, decode_all
from pipeline_src.clips.rows import StatusRow, read_plan, read_status, write_status
from pipeline_src.errors import UserError
from pipeline_src.settings.base import Settings
from pipeline_src.settings.clips import DecodeSettings
from pipeline_src.shards.format import PackedClip
from pipeline_src.shards.writer import ShardWriter
from pipeline_src.stages.command import parser, run, settings_from


class StageSettings(Settings):
    """What decoding depends on."""

    decode: DecodeSettings


def decode_shard(
    settings: DecodeSettings,
    plan: Path,
    fetched: Path,
    frames: Path,
    sound: Path | None,
    status: Path,
    threads: int,
) -> None:
    """Write the frames, sound and status of every clip of a plan, in plan order.

    Raises:
        UserError: the status file of fetching does not belong to the plan.
    """
    clips = read_plan(plan)
    arrived = read_status(fetched)
    if [clip.clip_id for clip in clips] != [row.clip_id for row in arrived]:
        raise UserError(f"{fetched}: its clips differ from {plan}; delete it and run snakemake again")
    tasks = [
        DecodeTask(row.file, row.start_s, clip.duration_s)
        for clip, row in zip(clips, arrived, strict=True)
        if row.status == "ok"
    ]
    rows = []
    with ExitStack() as stack:
        pictures = stack.enter_context(
            ShardWriter(
                frames,
                modality="frames",
                item_shape=(settings.height, settings.width, 3),
                dtype="uint8",
                codec=settings.codec,
                jpeg_quality=settings.jpeg_quality,
                attributes={"frame_rate": settings.frame_rate, "units": "8-bit RGB"},
            )
        )
        sounds = None
        if sound is not None:
            sounds = stack.enter_context(
                ShardWriter(
                    sound,
                    modality="sound",
                    item_shape=(),
                    dtype="int16",
                    attributes={"sample_rate": settings.sound_rate, "units": "16-bit amplitude"},
                )
            )

        def pack(decoded: Decoded) -> tuple[StatusRow, PackedClip, np.ndarray]:
            return StatusRow("", decoded.status, decoded.reason), pictures.pack(decoded.frames), decoded.sound

        results = decode_all(tasks, settings, threads, with_sound=sound is not None, then=pack)
        for row in tqdm(arrived, "decode", unit="clip", file=sys.stderr, mininterval=2):
            status_row, frames_of_clip, sound_of_clip = next(results) if row.status == "ok" else (row, None, None)
            pictures.add(row.clip_id, frames_of_clip)
            if sounds is not None:
                sounds.add(row.clip_id, sound_of_clip)
            rows.append(StatusRow(row.clip_id, status_row.status, status_row.reason))
    write_status(status, rows, fetched=False)


def main() -> None:
    """Decode the clips of one shard."""
    arguments = parser(__doc__)
    arguments.add_argument("--plan", required=True, type=Path, help="plan/{shard}.csv")
    arguments.add_argument("--fetched", required=True, type=Path, help="status/fetch/{shard}.csv")
    arguments.add_argument("--frames", required=True, type=Path, help="HDF5 shard of frames to write")
    arguments.add_argument("--sound", type=Path, help="HDF5 shard of sound to write; without it sound is not decoded")
    arguments.add_argument("--status", required=True, type=Path, help="status/decode/{shard}.csv to write")
    arguments.add_argument("--threads", type=int, default=1, help="clips decoded at a time")
    given = arguments.parse_args()
    settings = settings_from(given.settings, StageSettings)
    decode_shard(
        settings.decode,
        given.plan,
        given.fetched,
        given.frames,
        given.sound,
        given.status,
        max(1, given.threads),
    )


if __name__ == "__main__":
    run(main)
