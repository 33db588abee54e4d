"""What a finished run consists of.

A job that fails leaves nothing, while what was made of its earlier result stays and looks finished: whoever asked for the
report alone would be shown an old one.
"""

from types import SimpleNamespace


def every_shard(wildcards):
    """What is made of the shards of all collections, known once they are planned."""
    files = []
    for name in SETTINGS.used_collections:
        shards = all_shards(name)
        files += [f"{DATA}/{name}/status/fetch/{shard}.csv" for shard in shards]
        files += made_of(name, shards)
    return files


def every_index():
    """Sources, plans and indices of all collections."""
    files = []
    for name in SETTINGS.used_collections:
        folder, kind = f"{DATA}/{name}", SETTINGS.collections[name].source.kind
        files += {"world": [f"{folder}/world"], "youtube": [f"{folder}/sample/videos.csv"]}.get(kind, [])
        files += [f"{folder}/plan/shards.json", f"{folder}/index.json"]
    return files


def every_generation():
    """The searches, and what stands beside them."""
    files = [f"{RUN}/search/{name}" for name in ("scales.json", "controls.json", "individuals.csv")]
    files += [f"{CONTROLS}/population.csv", *control_results(None)]
    for search in SETTINGS.searches:
        for number in range(SETTINGS.search.generations):
            generation = SimpleNamespace(search=search, generation=f"{number:03d}")
            folder = f"{RUN}/{search}/gen_{generation.generation}"
            files += [f"{folder}/population.csv", *all_results(generation), f"{folder}/state.json"]
    return files


def every_model():
    """The lineup: its weights, its models, and what they give."""
    files = [f"{RUN}/models/{entry}/weights.json" for entry in ENTRIES if entry not in IMPORTED]
    files += [f"{model}/{name}" for model in MODELS for name in ("encoder.safetensors", "fitness.json")]
    for name in SETTINGS.transfer.collections:
        files += expand(EMBEDDINGS, entry=ENTRIES, seed=SETTINGS.seeds, collection=name)
    return [*files, *RESULTS, *BASELINES, *EXPORTS]
