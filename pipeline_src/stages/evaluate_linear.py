"""Evaluate frozen embeddings by one fully-connected layer on one split of a labelled collection."""

from pipeline_src.files import write_json
from pipeline_src.settings.base import Settings
from pipeline_src.settings.transfer import LinearSettings
from pipeline_src.shards.index import Collection
from pipeline_src.stages.command import parser, run, settings_from
from pipeline_src.transfer.linear import predict_by_layer
from pipeline_src.transfer.split import (
    labelled_vectors,
    not_finite,
    read_embeddings,
    result,
    split_clips,
    standardised,
)


class StageSettings(Settings):
    """What the evaluation depends on."""

    linear: LinearSettings


def main() -> None:
    """Parse, evaluate, write; embeddings are standardised per dimension."""
    arguments = parser(__doc__)
    arguments.add_argument("--clips-index", required=True, help="index.json of the labelled collection")
    arguments.add_argument("--embeddings", required=True, help="the entry's embeddings of that collection (.npz)")
    arguments.add_argument("--split", type=int, required=True, help="number of the split, from 1")
    arguments.add_argument("--entry", required=True, help="name of the lineup entry")
    arguments.add_argument("--seed", type=int, required=True, help="the model's seed, also of the validation part")
    arguments.add_argument("--out", required=True, help="JSON to write")
    given = arguments.parse_args()
    settings = settings_from(given.settings, StageSettings)
    collection = Collection.open(given.clips_index)
    clips = split_clips(collection, given.split)
    vectors = read_embeddings(given.embeddings, clips["clip_id"].tolist())
    data = labelled_vectors(collection, given.split, clips, vectors)
    reason = not_finite(data)
    prediction = None if reason else predict_by_layer(standardised(data), settings.linear, given.seed)
    write_json(
        given.out,
        result(data, entry=given.entry, seed=given.seed, method="linear", prediction=prediction, reason=reason),
    )


if __name__ == "__main__":
    run(main)
