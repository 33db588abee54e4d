"""The index of a collection: which clips are usable, and the statistics of each modality."""

import argparse
import sys
from pathlib import Path

from pydantic import Field

from pipeline_src.clips.outcomes import summary
from pipeline_src.clips.retry import shards_of_rounds
from pipeline_src.files import read_json
from pipeline_src.settings.base import Settings
from pipeline_src.settings.clips import Modality
from pipeline_src.shards.index import build_index
from pipeline_src.stages.command import parser, run, settings_from


class StageSettings(Settings):
    """The settings of this stage; the names are those of a collection."""

    modalities: tuple[Modality, ...] = Field(min_length=1)
    min_success: float = Field(ge=0, le=1)
    retries: int = Field(0, ge=0)


def main() -> None:
    """Write index.json and clips.csv of data/{collection}."""
    arguments = _arguments()
    settings = settings_from(arguments.settings, StageSettings)
    plan = read_json(arguments.folder / "plan" / "shards.json")
    retried = shards_of_rounds(arguments.folder, settings.retries, f"collections.{arguments.folder.name}.retries")
    build_index(
        arguments.folder,
        [*(entry["shard"] for entry in plan["shards"]), *retried],
        list(settings.modalities),
        arguments.out,
        arguments.clips,
        settings.min_success,
    )
    index = read_json(arguments.out)
    ended = [name for name, count in {**index["failed"], "ok": index["usable"]}.items() for _ in range(count)]
    print("\n".join(summary(ended)), file=sys.stderr)


def _arguments() -> argparse.Namespace:
    options = parser(__doc__)
    options.add_argument("--folder", type=Path, required=True, help="the collection's folder")
    options.add_argument("--out", type=Path, required=True, help="the index to write")
    options.add_argument("--clips", type=Path, required=True, help="the table of usable clips to write")
    return options.parse_args()


if __name__ == "__main__":
    run(main)
