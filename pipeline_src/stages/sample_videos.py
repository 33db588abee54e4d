"""Search YouTube for the videos of a collection."""

from pathlib import Path

from pipeline_src.clips.guard import install
from pipeline_src.clips.outcomes import RefusedError
from pipeline_src.clips.sample import Searcher, sample_videos
from pipeline_src.errors import UserError
from pipeline_src.settings.base import Settings
from pipeline_src.settings.clips import FetchSettings, YoutubeSource
from pipeline_src.stages.command import add_machine, parser, run, settings_from


class StageSettings(Settings):
    """What the search depends on."""

    source: YoutubeSource
    fetch: FetchSettings
    seed: int


def main() -> None:
    """Write sample/videos.csv of a collection."""
    arguments = parser(__doc__)
    add_machine(arguments)
    arguments.add_argument("--collection", required=True, help="name of the collection")
    arguments.add_argument("--answers", required=True, type=Path, help="JSON lines with answers, kept between runs")
    arguments.add_argument("--out", required=True, type=Path, help="CSV file to write")
    given = arguments.parse_args()
    settings = settings_from(given.settings, StageSettings, given.machine)
    searcher = Searcher(settings.fetch)
    try:
        install(settings.fetch)
    except RefusedError as error:
        raise UserError(str(error)) from None
    sample_videos(settings.source, given.collection, settings.seed, searcher, given.answers, given.out)


if __name__ == "__main__":
    run(main)
