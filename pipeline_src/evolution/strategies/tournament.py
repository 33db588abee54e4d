"""Tournament evolution: weights start uniform; then a top individual is picked and one value is changed.

After Piergiovanni, Angelova and Ryoo, "Evolving Losses for Unlabeled Video Representation Learning". The top
individuals are an archive of the best of all generations. The parent is the best of a few that are drawn from
it: few drawn explore, many drawn exploit. The changed value is drawn anew from [0, 1].
"""

from typing import Any

import numpy as np

from pipeline_src.evolution.generation import Generation, Scored

SETTINGS: dict[str, dict[str, Any]] = {
    "archive": {
        "default": 8,
        "minimum": 1,
        "maximum": 1000,
        "help": "how many of the best individuals of all generations may become parents",
    },
    "tournament_size": {
        "default": 3,
        "minimum": 1,
        "maximum": 1000,
        "help": "individuals drawn from the archive, of which the best becomes the parent",
    },
}


def ask(settings: dict[str, Any], memory: dict[str, Any], generation: Generation) -> np.ndarray:
    """Children of the archive, shape (population, dimensions); uniform while nothing has succeeded."""
    archive = memory.get("archive", [])
    proposed = np.empty((generation.population, generation.dimensions))
    for number in range(generation.population):
        random = generation.random(number)
        if not archive:
            proposed[number] = random.random(generation.dimensions)
            continue
        drawn = random.choice(len(archive), size=min(settings["tournament_size"], len(archive)), replace=False)
        proposed[number] = archive[drawn.min()]["values"]  # the archive is sorted, best first
        changed = random.integers(generation.dimensions)
        proposed[number, changed] = random.random()
    return proposed


def tell(settings: dict[str, Any], memory: dict[str, Any], scored: list[Scored]) -> dict[str, Any]:
    """The best of the archive and the new generation; individuals without fitness never enter."""
    known = [
        Scored(row["generation"], row["individual"], tuple(row["values"]), row["fitness"])
        for row in memory.get("archive", [])
    ]
    new = [individual for individual in scored if individual.fitness is not None]
    best = sorted([*known, *new], key=Scored.order)[: settings["archive"]]
    return {
        "archive": [
            {
                "generation": s.generation,
                "individual": s.individual,
                "values": list(s.values),
                "fitness": s.fitness,
            }
            for s in best
        ]
    }
