"""Fetch the videos of a shard of clips."""

import sys
from pathlib import Path

from pipeline_src.clips.fetch import fetch_clips
from pipeline_src.clips.outcomes import summary
from pipeline_src.clips.rows import read_plan, write_status
from pipeline_src.files import whole_directory
from pipeline_src.settings.base import Settings
from pipeline_src.settings.clips import FetchSettings
from pipeline_src.stages.command import add_machine, parser, run, settings_from


class StageSettings(Settings):
    """What fetching depends on."""

    fetch: FetchSettings
    seed: int = 0
    spare: float = 0.0
    shortest_s: float = 0.0


def main() -> None:
    """Fill media/{shard}/ and write status/fetch/{shard}.csv."""
    arguments = parser(__doc__)
    add_machine(arguments)
    arguments.add_argument("--plan", required=True, type=Path, help="plan/{shard}.csv")
    arguments.add_argument("--media", required=True, type=Path, help="folder for downloads; empty for local files")
    arguments.add_argument("--status", required=True, type=Path, help="status/fetch/{shard}.csv to write")
    given = arguments.parse_args()
    settings = settings_from(given.settings, StageSettings, given.machine)
    clips = read_plan(given.plan)
    with whole_directory(given.media) as folder:
        rows = fetch_clips(
            clips,
            folder,
            given.media,
            settings.fetch,
            seed=settings.seed,
            spare=settings.spare,
            shortest_s=settings.shortest_s,
        )
    write_status(given.status, rows, fetched=True)
    print("\n".join(summary(row.status for row in rows)), file=sys.stderr)


if __name__ == "__main__":
    run(main)
