"""Log-mel spectrograms of a shard's clips."""

import argparse

from tqdm import tqdm

from pipeline_src.features.audio import log_mel
from pipeline_src.settings.base import Settings
from pipeline_src.settings.features import AudioSettings
from pipeline_src.shards.reader import ShardReader
from pipeline_src.shards.writer import ShardWriter
from pipeline_src.stages.command import parser, run, settings_from


class StageSettings(Settings):
    """The settings of this stage."""

    audio: AudioSettings


def main() -> None:
    """Write audio/{shard}.h5 from sound/{shard}.h5."""
    arguments = _arguments()
    settings = settings_from(arguments.settings, StageSettings)
    sound = ShardReader(arguments.sound)
    transform = log_mel(int(sound.attributes["sample_rate"]), settings.audio)
    with ShardWriter(
        arguments.out,
        modality="audio",
        item_shape=(settings.audio.mels,),
        dtype="float16",
        attributes=transform.attributes(),
    ) as shard:
        for row, clip_id in enumerate(tqdm(sound.clip_ids, desc="extract_audio", unit="clip")):
            shard.add(clip_id, transform(sound.read(row)))


def _arguments() -> argparse.Namespace:
    options = parser(__doc__)
    options.add_argument("--sound", required=True, help="the shard of sound")
    options.add_argument("--out", required=True, help="the shard of spectrograms to write")
    return options.parse_args()


if __name__ == "__main__":
    run(main)
