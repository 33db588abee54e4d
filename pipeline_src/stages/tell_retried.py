"""Say what a round of trying again has brought."""

from pathlib import Path

from pipeline_src.clips.retry import told
from pipeline_src.stages.command import parser, run


def main() -> None:
    """Print lines for every collection."""
    arguments = parser(__doc__)
    arguments.add_argument("--folders", required=True, nargs="*", type=Path, help="data/{collection} of each")
    arguments.add_argument("--rounds", required=True, nargs="*", type=int, help="the round of each")
    given = arguments.parse_args()
    if not given.folders:
        print("nothing has been fetched yet: run snakemake first")
    for folder, number in zip(given.folders, given.rounds, strict=True):
        print("\n".join(told(folder, number)))


if __name__ == "__main__":
    run(main)
