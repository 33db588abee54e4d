"""Bring an RGB encoder that others trained into the lineup."""

import json
from pathlib import Path

from pydantic import Field

from pipeline_src.files import whole_file, write_json
from pipeline_src.networks.encoder_file import Fit, save_encoder
from pipeline_src.networks.imported import FrameFormat, import_encoder
from pipeline_src.settings.base import Settings
from pipeline_src.settings.learning import WindowSettings
from pipeline_src.shards.index import Collection
from pipeline_src.stages.command import parser, run, settings_from


class StageSettings(Settings):
    """What it depends on."""

    weights: str = Field(min_length=1)
    network: str | None
    window: WindowSettings
    fit: Fit


def main() -> None:
    """Parse, import, write what a training writes."""
    arguments = parser(__doc__)
    arguments.add_argument("--pool", type=Path, required=True, help="index.json of the pool, whose frames it will see")
    arguments.add_argument("--encoder", type=Path, required=True, help="encoder.safetensors to write")
    arguments.add_argument("--config", type=Path, required=True, help="config.json to write")
    arguments.add_argument("--metrics", type=Path, required=True, help="metrics.jsonl to write")
    given = arguments.parse_args()
    settings = settings_from(given.settings, StageSettings)
    described = Collection.open(given.pool).describe("rgb")
    height, width = described["item_shape"][:2]
    frames = FrameFormat(described["attributes"]["frame_rate"], height, width, settings.fit)
    encoder, config = import_encoder(settings.weights, settings.network, settings.window, frames)
    save_encoder(given.encoder, encoder, config)
    write_json(given.config, config.model_dump(mode="json"))
    with whole_file(given.metrics) as part:
        end = {"event": "end", "status": "ok", "reason": "", "iterations": 0}
        part.write_text(json.dumps(end, sort_keys=True) + "\n")


if __name__ == "__main__":
    run(main)
