"""What the stages share that evaluate frozen embeddings."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pipeline_src.files import write_json
from pipeline_src.settings.base import Settings
from pipeline_src.shards.index import Collection
from pipeline_src.stages.command import add_evaluation, parser, settings_from
from pipeline_src.transfer.fewer_labels import ALL, with_fewer_labels
from pipeline_src.transfer.split import (
    LabelledVectors,
    Prediction,
    labelled_vectors,
    not_finite,
    read_embeddings,
    result,
    split_clips,
)

S = TypeVar("S", bound=Settings)


def evaluate_embeddings(
    doc: str | None,
    model: type[S],
    method: str,
    predict: Callable[[LabelledVectors, S, int], Prediction],
    budgets: Callable[[S], Sequence[str]] | None = None,
) -> None:
    """Parse, evaluate, write.

    Args:
        doc: what the stage does.
        model: its settings.
        method: its name in results.
        predict: gets the split with its embeddings, the settings and the seed; not called where they are not finite.
        budgets: of labels, each of which gives a result; by default all labels give the one that is written.
    """
    arguments = parser(doc)
    add_evaluation(arguments)
    arguments.add_argument("--embeddings", required=True, help="the entry's embeddings of that collection (.npz)")
    given = arguments.parse_args()
    settings = settings_from(given.settings, model)
    collection = Collection.open(given.clips_index)
    clips = split_clips(collection, given.split)
    vectors = read_embeddings(given.embeddings, clips["clip_id"].tolist())
    data = labelled_vectors(collection, given.split, clips, vectors)

    def evaluate(budget: str) -> dict[str, Any]:
        own = with_fewer_labels(data, budget, given.seed)
        reason = not_finite(own)
        prediction = None if reason else predict(own, settings, given.seed)
        found = result(own, entry=given.entry, seed=given.seed, method=method, prediction=prediction, reason=reason)
        return {**found, "labels": budget}

    if budgets is None:
        write_json(given.out, evaluate(ALL))
    else:
        write_json(given.out, {"results": [evaluate(budget) for budget in budgets(settings)]})
