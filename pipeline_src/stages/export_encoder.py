"""Export a lineup entry's encoder: the file that people take home, and its model card."""

from argparse import Namespace
from pathlib import Path

from pipeline_src.batches.pool_part import part_of_pool
from pipeline_src.embedding.export import described, format_of, write_export
from pipeline_src.files import read_json, whole_file, write_json
from pipeline_src.networks.encoder_file import read_config
from pipeline_src.report.model_card import TrainingData, model_card
from pipeline_src.settings.base import Settings
from pipeline_src.settings.clips import DecodeSettings
from pipeline_src.settings.embedding import EmbedSettings
from pipeline_src.settings.learning import TrainingSettings
from pipeline_src.shards.index import Collection
from pipeline_src.stages.command import parser, run, settings_from
from pipeline_src.transfer.answers import Truths, answers_of
from pipeline_src.transfer.results import results_in
from pipeline_src.transfer.summaries import rows_of_lineup, summary_table


class StageSettings(Settings):
    """What an export depends on beside the model.

    Attributes:
        run, entry, kind: which model.
        pretrained: weights of an entry that others trained.
        source: kind of source that its training clips have.
        seeds: of the run; the first one's model is exported.
    """

    run: str
    entry: str
    kind: str
    pretrained: str | None
    source: str
    seeds: tuple[int, ...]
    decode: DecodeSettings
    embed: EmbedSettings
    training: TrainingSettings


def main() -> None:
    """Parse, read, write."""
    arguments = parser(__doc__)
    arguments.add_argument("--encoder", type=Path, required=True, help="encoder.safetensors of the model")
    arguments.add_argument("--weights", type=Path, required=True, help="weights.json of the lineup entry")
    arguments.add_argument("--index", type=Path, required=True, help="index.json of what it was trained on")
    arguments.add_argument("--split", type=int, help="it was trained on the training part of this split only")
    arguments.add_argument("--pool-fraction", type=float, default=1.0, help="it was trained on this part only")
    arguments.add_argument("--results", type=Path, nargs="*", default=[], help="its transfer results")
    arguments.add_argument("--labelled", type=Path, nargs="*", default=[], help="index.json of the sets they are from")
    arguments.add_argument("--out-encoder", type=Path, required=True, help="encoder.safetensors to write")
    arguments.add_argument("--out-config", type=Path, required=True, help="config.json to write")
    arguments.add_argument("--out-card", type=Path, required=True, help="README.md to write")
    given = arguments.parse_args()
    settings = settings_from(given.settings, StageSettings)
    config = read_config(given.encoder)
    format = format_of(config, settings.decode, settings.embed.windows)
    truths = Truths(Collection.open(path) for path in given.labelled)
    answers = [answers_of(str(path), one, truths) for path in given.results for one in results_in(read_json(path))]
    card = model_card(
        run=settings.run,
        entry=settings.entry,
        kind=settings.kind,
        pretrained=settings.pretrained,
        seeds=settings.seeds,
        data=_data(Collection.open(given.index), given, settings, config.frame_rate),
        training=settings.training,
        weights=read_json(given.weights),
        format=format,
        revision=str(config.provenance.get("git_revision", "unknown")),
        results=summary_table(rows_of_lineup(answers, {settings.entry: settings.kind})),
    )
    write_export(given.encoder, format, given.out_encoder)
    write_json(given.out_config, described(config, format))
    with whole_file(given.out_card) as part:
        part.write_text(card, encoding="utf-8")


def _data(collection: Collection, given: Namespace, settings: StageSettings, frame_rate: float) -> TrainingData:
    clips = collection.clips
    if given.split is not None:
        clips = clips[clips[f"split_{given.split}"] == "train"]
    elif given.pool_fraction < 1:
        clips = clips.iloc[part_of_pool(clips, given.pool_fraction, settings.seeds[0])]
    return TrainingData(
        collection=collection.folder.name,
        kind=settings.source,
        clips=len(clips),
        videos=clips["source_video"].nunique(),
        hours=float(clips["frames"].sum()) / frame_rate / 3600,
        labelled=given.split is not None,
    )


if __name__ == "__main__":
    run(main)
