"""Tournament evolution: weights start uniform; then a top individual is picked and one value is changed.

After Piergiovanni, Angelova and Ryoo, "Evolving Losses for Unlabeled Video Representation Learning". The top
individuals are an archive of the best of the last generations. The parent is the best of a few that are drawn from
it: few drawn explore, many drawn exploit. The changed value is drawn anew from [0, 1].

Fitness is noisy. Were parents to stay as long as they are not beaten, those with lucky noise would stay longest; so
they leave with their generation, as in Real et al. 2019, Regularized Evolution for Image Classifier Architecture
Search. Changing more values than the paper's one helps where few of many weights matter and the search is short.
"""

from typing import Any

import numpy as np

from pipeline_src.evolution.generation import Generation, Scored

SETTINGS: dict[str, dict[str, Any]] = {
    "archive": {
        "default": 8,
        "minimum": 1,
        "maximum": 1000,
        "help": "how many of the best individuals may become parents",
    },
    "lifetime": {
        "default": 3,
        "minimum": 1,
        "maximum": 1000,
        "help": "for how many generations an individual may be a parent",
    },
    "tournament_size": {
        "default": 3,
        "minimum": 1,
        "maximum": 1000,
        "help": "individuals drawn from the archive, of which the best becomes the parent",
    },
    "changes": {
        "default": 1,
        "minimum": 1,
        "maximum": 1000,
        "help": "a child differs from its parent in at most this many weights",
    },
}


def ask(settings: dict[str, Any], memory: dict[str, Any], generation: Generation) -> np.ndarray:
    """Children of the archive, shape (population, dimensions); uniform while nothing has succeeded.

    Those of the start are parents alike: terms alone are in no order, and a table's is that of another search.
    """
    archive = [row["values"] for row in memory.get("archive", [])][: settings["archive"]]
    drawn_of = settings["tournament_size"]
    if generation.start is not None:
        archive, drawn_of = list(generation.start), 1
    proposed = np.empty((generation.population, generation.dimensions))
    for number in range(generation.population):
        random = generation.random(number)
        if not archive:
            proposed[number] = random.random(generation.dimensions)
            continue
        drawn = random.choice(len(archive), size=min(drawn_of, len(archive)), replace=False)
        proposed[number] = archive[drawn.min()]  # the archive is sorted, best first
        changes = 1 + random.integers(min(settings["changes"], generation.dimensions))
        changed = random.choice(generation.dimensions, size=changes, replace=False)
        proposed[number, changed] = random.random(changes)
    return proposed


def tell(settings: dict[str, Any], memory: dict[str, Any], scored: list[Scored]) -> dict[str, Any]:
    """The best of each of the last generations, best first; individuals without fitness never enter."""
    known = [
        Scored(row["generation"], row["individual"], tuple(row["values"]), row["fitness"], row["rung"])
        for row in memory.get("archive", [])
    ]
    new = [individual for individual in scored if individual.fitness is not None][: settings["archive"]]
    last = sorted({individual.generation for individual in [*known, *new]})[-settings["lifetime"] :]
    kept = sorted((individual for individual in [*known, *new] if individual.generation in last), key=Scored.order)
    return {
        "archive": [
            {
                "generation": s.generation,
                "individual": s.individual,
                "values": list(s.values),
                "fitness": s.fitness,
                "rung": s.rung,
            }
            for s in kept
        ]
    }
