"""Embed any videos with an exported encoder: one row per video, or per clip of some seconds.

    python -m pipeline_src.stages.embed_videos videos/ more.mp4 --encoder results/demo/export/evolved out.parquet

Needs only torch, torchvision, safetensors, PyAV and numpy; .parquet needs pyarrow, too. For people; no rule calls it.
"""

import argparse
import math
import sys
import time
from pathlib import Path

from pipeline_src.errors import UserError
from pipeline_src.stages.command import run

TOLD_EVERY_S = 10.0


def main() -> None:
    """Parse, load, embed, write."""
    given = _arguments()
    import torch

    from pipeline_src.embedding.exported import load_exported
    from pipeline_src.embedding.table import check_new_table, write_table
    from pipeline_src.embedding.videos import embed_videos, find_videos

    check_new_table(given.out)
    if given.device == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: torch finds no GPU - allowed: cpu, auto")
    encoder = load_exported(given.encoder)
    least = 1 / encoder.format.frame_rate
    if given.clip_duration is not None and not least <= given.clip_duration < math.inf:
        raise UserError(f"--clip-duration {given.clip_duration:g} - allowed: a frame, {least:g} s, or more")
    if given.batch_size < 1 or (given.num_workers is not None and given.num_workers < 1):
        raise UserError("--batch-size, --num-workers: allowed: 1 or more")
    paths = find_videos(given.videos)
    device = given.device if given.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    found = embed_videos(
        paths,
        encoder.to(device),
        clip_duration_s=given.clip_duration,
        batch_size=given.batch_size,
        workers=given.num_workers,
    )
    rows, last = [], time.monotonic()
    for row in found:
        rows.append(row)
        if time.monotonic() > last + TOLD_EVERY_S:
            last = time.monotonic()
            print(f"{len(rows)} clips, now in {row.path}", file=sys.stderr, flush=True)
    write_table(given.out, rows, encoder.name, encoder.format.embedding_size)
    failed = [row for row in rows if row.status != "ok"]
    print(f"{given.out}: {len(rows) - len(failed)} clips of {len(paths)} videos embedded, {len(failed)} failed")
    for row in failed[:5]:
        print(f"  {row.path} at {row.start_s:g} s: {row.status}, {row.reason}")


def _arguments() -> argparse.Namespace:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("videos", type=Path, nargs="+", metavar="VIDEO", help="files, or folders of them")
    options.add_argument("out", type=Path, metavar="OUT", help="table to write: .parquet, .npz or .csv")
    options.add_argument("--encoder", type=Path, required=True, help="results/RUN/export/ENTRY")
    options.add_argument("--clip-duration", type=float, help="seconds of a clip (default: each video is one)")
    options.add_argument("--batch-size", type=int, default=32, help="windows per forward pass (default: 32)")
    options.add_argument("--num-workers", type=int, help="processes that decode (default: cores, at most 16)")
    options.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="where the network runs")
    # So that options may stand between several videos and OUT.
    return options.parse_intermixed_args()


if __name__ == "__main__":
    run(main)
