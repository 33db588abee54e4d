"""Render the built-in video world of one collection."""

from pathlib import Path

from pipeline_src.clips.world import write_world
from pipeline_src.files import whole_directory
from pipeline_src.settings.base import Settings
from pipeline_src.settings.clips import WorldSource
from pipeline_src.stages.command import parser, run, settings_from


class StageSettings(Settings):
    """What the stage reads."""

    source: WorldSource
    seed: int = 0


def main() -> None:
    """Write a folder with videos.csv, truth.csv and the videos."""
    arguments = parser(__doc__)
    arguments.add_argument("--collection", required=True, help="name of the collection")
    arguments.add_argument("--out", required=True, type=Path, help="folder to write")
    arguments.add_argument("--threads", type=int, default=1, help="videos rendered at the same time")
    args = arguments.parse_args()
    settings = settings_from(args.settings, StageSettings)
    with whole_directory(args.out) as folder:
        write_world(settings.source, settings.seed, args.collection, folder, args.threads)


if __name__ == "__main__":
    run(main)
