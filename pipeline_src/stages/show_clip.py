"""Show what the networks see of a clip: frames, flow in the usual colour wheel, grey and spectrogram side by side.

For people; no rule calls it.
"""

import argparse
from pathlib import Path

from pipeline_src.errors import UserError
from pipeline_src.report.clip_view import read_clip, write_page, write_sheet
from pipeline_src.shards.index import Collection
from pipeline_src.stages.command import run

WRITERS = {".html": write_page, ".png": write_sheet}
MOST = 1000


def main() -> None:
    """Write the page or picture."""
    arguments = _arguments()
    suffix = arguments.out.suffix.lower()
    if suffix not in WRITERS:
        raise UserError(f"{arguments.out}: {suffix or 'no suffix'} - allowed: {', '.join(WRITERS)}")
    if not arguments.out.parent.is_dir():
        raise UserError(f"{arguments.out.parent}: no such folder - allowed: one that exists")
    if not 1 <= arguments.frames <= MOST:
        raise UserError(f"--frames {arguments.frames} - allowed: 1 to {MOST}")
    index = arguments.collection / "index.json"
    if not index.is_file():
        raise UserError(f"{index}: missing - allowed: a folder data/{{collection}} that snakemake finished")
    view = read_clip(Collection.open(index), arguments.clip, arguments.start, arguments.frames)
    WRITERS[suffix](view, arguments.out)


def _arguments() -> argparse.Namespace:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("collection", type=Path, metavar="COLLECTION", help="data/{collection}")
    options.add_argument("clip", metavar="CLIP", help="clip_id, as in clips.csv")
    options.add_argument("out", type=Path, metavar="OUT", help="page (.html) or picture (.png) to write")
    options.add_argument("--start", type=int, default=0, help="first frame (default: 0)")
    options.add_argument("--frames", type=int, default=120, help="how many frames at most (default: 120)")
    return options.parse_args()


if __name__ == "__main__":
    run(main)
