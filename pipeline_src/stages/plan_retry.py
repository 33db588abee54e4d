"""Plan a round of trying again the clips of a collection that failed for a passing reason."""

from pathlib import Path

from pydantic import Field

from pipeline_src.clips.retry import plan_retry
from pipeline_src.settings.base import Settings
from pipeline_src.stages.command import parser, run, settings_from


class StageSettings(Settings):
    """What the plan depends on."""

    clips_per_shard: int = Field(ge=1)


def main() -> None:
    """Write plan/{shard}.csv of the round and its record."""
    arguments = parser(__doc__)
    arguments.add_argument("--folder", required=True, type=Path, help="data/{collection}")
    arguments.add_argument("--round", required=True, type=int, help="number of the round, from 1")
    arguments.add_argument("--out", required=True, type=Path, help="plan/retry_{round}.json in that folder")
    given = arguments.parse_args()
    settings = settings_from(given.settings, StageSettings)
    plan_retry(given.folder, given.round, settings.clips_per_shard, given.out)


if __name__ == "__main__":
    run(main)
