"""Write the settings reference (config/README.md) and the JSON schema from the typed settings."""

import argparse
import json
from pathlib import Path

from pipeline_src.files import whole_file
from pipeline_src.settings.reference import reference
from pipeline_src.settings.run import RunSettings
from pipeline_src.stages.command import run


def main() -> None:
    """Parse, write."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--readme", type=Path, required=True, help="Markdown file to write")
    arguments.add_argument("--schema", type=Path, required=True, help="JSON schema to write")
    given = arguments.parse_args()
    with whole_file(given.readme) as part:
        part.write_text(reference())
    with whole_file(given.schema) as part:
        part.write_text(json.dumps(RunSettings.model_json_schema(), indent=1) + "\n")


if __name__ == "__main__":
    run(main)
