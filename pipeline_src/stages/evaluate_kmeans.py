"""Evaluate frozen embeddings by k-means on one split of a labelled collection."""

from pipeline_src.files import write_json
from pipeline_src.fitness.clusters import unit_rows
from pipeline_src.settings.base import Settings
from pipeline_src.settings.transfer import KmeansSettings
from pipeline_src.shards.index import Collection
from pipeline_src.stages.command import parser, run, settings_from
from pipeline_src.transfer.kmeans import predict_by_clusters
from pipeline_src.transfer.split import labelled_vectors, not_finite, read_embeddings, result, split_clips


class StageSettings(Settings):
    """What the evaluation depends on."""

    kmeans: KmeansSettings


def main() -> None:
    """Parse, evaluate, write; embeddings are scaled to length 1, as for the fitness."""
    arguments = parser(__doc__)
    arguments.add_argument("--clips-index", required=True, help="index.json of the labelled collection")
    arguments.add_argument("--embeddings", required=True, help="the entry's embeddings of that collection (.npz)")
    arguments.add_argument("--split", type=int, required=True, help="number of the split, from 1")
    arguments.add_argument("--entry", required=True, help="name of the lineup entry")
    arguments.add_argument("--seed", type=int, required=True, help="the model's seed, also of k-means")
    arguments.add_argument("--out", required=True, help="JSON to write")
    given = arguments.parse_args()
    settings = settings_from(given.settings, StageSettings)
    collection = Collection.open(given.clips_index)
    clips = split_clips(collection, given.split)
    vectors = read_embeddings(given.embeddings, clips["clip_id"].tolist())
    data = labelled_vectors(collection, given.split, clips, vectors)
    reason = not_finite(data)
    scaled = data if reason else data.with_vectors(unit_rows(data.vectors))
    prediction = None if reason else predict_by_clusters(scaled, settings.kmeans, given.seed)
    write_json(
        given.out,
        result(data, entry=given.entry, seed=given.seed, method="kmeans", prediction=prediction, reason=reason),
    )


if __name__ == "__main__":
    run(main)
