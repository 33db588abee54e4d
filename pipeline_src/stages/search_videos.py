"""What is most like a clip, among videos that embed_videos has embedded.

    python -m pipeline_src.stages.search_videos cat.mp4 --embeddings out.parquet --encoder results/demo/export/evolved
    python -m pipeline_src.stages.search_videos 12 --embeddings out.parquet      the table's row 12, counted from 0

Prints row, cosine similarity, start in seconds and path. For people; no rule calls it.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline_src.errors import UserError
from pipeline_src.stages.command import run

if TYPE_CHECKING:
    import numpy as np

    from pipeline_src.embedding.table import Table


def main() -> None:
    """Parse, read, compare, print."""
    given = _arguments()
    if given.top < 1:
        raise UserError(f"--top {given.top} - allowed: 1 or more")
    from pipeline_src.embedding.table import nearest, read_table

    table = read_table(given.embeddings)
    row = int(given.query) if given.query.isdecimal() and not Path(given.query).exists() else None
    if row is None:
        query = _embedded(Path(given.query), given.encoder, table, given.embeddings)
    elif row >= len(table.rows):
        raise UserError(f"{row}: {given.embeddings} has rows 0 to {len(table.rows) - 1}")
    elif table.rows[row].status != "ok":
        raise UserError(f"{row}: this row has no embedding: {table.rows[row].status}, {table.rows[row].reason}")
    else:
        query = table.vectors[row]
    # One more, as a row is most like itself.
    found = [pair for pair in nearest(query, table.vectors, given.top + 1) if pair[0] != row][: given.top]
    print(f"{'row':>7} {'similarity':>10} {'start_s':>9}  path")
    for number, similarity in found:
        clip = table.rows[number]
        # The table may be anyone's.
        path = "".join(character if character.isprintable() else "?" for character in clip.path)
        print(f"{number:>7} {similarity:>10.4f} {clip.start_s:>9.2f}  {path}")


def _embedded(video: Path, folder: Path | None, table: "Table", where: Path) -> "np.ndarray":
    if not video.is_file():
        raise UserError(f"{video}: no such file - allowed: a video, or the number of a row of {where}")
    if folder is None:
        raise UserError(f"{video}: a video is embedded first; name the encoder of {where} with --encoder")
    from pipeline_src.embedding.exported import load_exported
    from pipeline_src.embedding.videos import embed_videos

    encoder = load_exported(folder)
    if encoder.name != table.encoder:
        raise UserError(
            f"{folder}: {encoder.name} - {where} was made with {table.encoder}; take that encoder or embed again"
        )
    (found,) = embed_videos([video], encoder, workers=1)
    if found.status != "ok":
        raise UserError(f"{video}: cannot be embedded: {found.status}, {found.reason}")
    return found.embedding


def _arguments() -> argparse.Namespace:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("query", metavar="QUERY", help="a video file, or the number of a row of the table")
    options.add_argument("--embeddings", type=Path, required=True, help="table that embed_videos has written")
    options.add_argument("--encoder", type=Path, help="results/RUN/export/ENTRY that made the table, for a video file")
    options.add_argument("--top", type=int, default=10, help="how many are shown (default: 10)")
    return options.parse_args()


if __name__ == "__main__":
    run(main)
