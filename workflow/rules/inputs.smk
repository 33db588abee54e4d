"""Input functions: which files a job needs."""

MODALITY_FOLDERS = {"rgb": "frames", "flow": "flow", "grey": "grey", "audio": "audio"}
ENTRIES = {entry.name: entry for entry in SETTINGS.lineup}
FLOW_READS_MEDIA = catalogue.reads_media(SETTINGS.flow.method)


def plan_input(wildcards):
    source = SETTINGS.collections[wildcards.collection].source
    made = {
        "world": [f"{DATA}/{wildcards.collection}/world"],
        "youtube": [f"{DATA}/{wildcards.collection}/sample/videos.csv"],
        "list": [getattr(source, "path", "")],
        "folder": [],
    }
    if source.kind == "benchmark":
        return [file.path for file in split_files(source, f"collections.{wildcards.collection}.source")]
    return made[source.kind]


def source_state(wildcards):
    """What the files of a folder, benchmark or list are like, so that a new or replaced video makes a new plan."""
    source = SETTINGS.collections[wildcards.collection].source
    if source.kind in ("folder", "benchmark"):
        return f"videos {folder_state(source.path)}"
    return f"videos {list_state(source.path, source.path_column, source.root)}" if source.kind == "list" else ""


def planned_shards(collection):
    """Names of a collection's shards, known once clips are planned."""
    if plans():
        checkpoints.plan_clips.get(collection=collection)
    return recorded_shards(f"{DATA}/{collection}/plan/shards.json")


def recorded_shards(path):
    return [entry["shard"] for entry in json.loads(Path(path).read_text())["shards"]]


def compressed_videos(wildcards):
    """What flow is read from when it is read from compressed videos: plan, where they are, and themselves."""
    folder, shard = f"{DATA}/{wildcards.collection}", wildcards.shard
    files = [f"{folder}/plan/{shard}.csv", f"{folder}/status/fetch/{shard}.csv", f"{folder}/media/{shard}"]
    return files if FLOW_READS_MEDIA else []


def made_of(collection, shards):
    """Plan, status and every modality of shards."""
    folder = f"{DATA}/{collection}"
    modalities = SETTINGS.collections[collection].modalities
    named = [f"{folder}/{MODALITY_FOLDERS[modality]}/{shard}.h5" for modality in modalities for shard in shards]
    kinds = ["plan", "status/decode", *(["status/flow"] if "flow" in modalities else [])]
    tables = [f"{folder}/{kind}/{shard}.csv" for kind in kinds for shard in shards]
    return [*named, *tables]


def all_shards(collection):
    """Names of a collection's shards, with those of its rounds of retrying."""
    rounds = SETTINGS.collections[collection].retries
    return [
        *planned_shards(collection),
        *shards_of_rounds(Path(DATA, collection), rounds, f"collections.{collection}.retries"),
    ]


def shards_of(wildcards):
    """All that the index is made of."""
    return made_of(wildcards.collection, all_shards(wildcards.collection))


@functools.cache
def retry_rounds():
    """The round that `retry_failed` makes of each collection that was planned, fixed before it begins."""
    planned = [name for name in SETTINGS.used_collections if Path(DATA, name, "plan/shards.json").exists()]
    return {name: next_round(Path(DATA, name)) for name in planned}


def retried_shards(wildcards):
    """What a round of retrying makes: of each collection, shards of the clips that may come now."""
    files = []
    for name, number in retry_rounds().items():
        checkpoints.plan_retry.get(collection=name, round=f"{number:02d}")
        files += made_of(name, recorded_shards(f"{DATA}/{name}/plan/retry_{number:02d}.json"))
    return files


def fetch_settings(wildcards):
    collection = SETTINGS.collections[wildcards.collection]
    return settings_json(
        fetch=SETTINGS.fetch,
        seed=SETTINGS.seed,
        # A shard of clips that are tried again has no candidates to spare.
        spare=0.0 if "r" in wildcards.shard else collection.plan.spare,
        shortest_s=collection.plan.shortest_s,
    )


def weak_index(wildcards):
    """The labelled collection of the weak fitness, where one is configured."""
    weak = SETTINGS.fitness.weak
    return [f"{DATA}/{weak.collection}/index.json"] if weak else []


def search_result(wildcards):
    """What the weights of an entry come from: the last state of a search, or nothing."""
    kind = ENTRIES[wildcards.entry].kind
    search = "random" if kind == "best_of_random" else "search" if kind in EVOLVED else None
    return [f"{RUN}/{search}/gen_{SETTINGS.search.generations - 1:03d}/state.json"] if search else []


def searched_space(entry):
    """The space that a random entry's weights are drawn from; other kinds do not depend on it."""
    if entry.kind != "random":
        return {}
    search = SETTINGS.search
    return {"fixed": search.fixed_terms(SETTINGS.loss.terms), "floor": search.floor if search.scale == "log" else None}


def search_option(wildcards, input):
    return ["--state", *input] if input else []


def training_index(wildcards):
    """What an entry is trained on: the pool, or a labelled set for an upper bound."""
    return f"{DATA}/{ENTRIES[wildcards.entry].collection or 'pool'}/index.json"


def training_part(entry):
    """Which part of its index an entry is trained on, as options."""
    if entry.kind == "upper_bound":
        return ["--split", "1"]
    return ["--pool-fraction", str(entry.pool_fraction)] if entry.pool_fraction < 1 else []


def weights_file(entry):
    """The file that a pretrained entry's weights come from, where they come from one."""
    return [entry.weights] if entry.weights.endswith(WEIGHT_FILES) else []


def results_of_entry(wildcards):
    """What an entry reached on the labelled sets, with all seeds; nothing where none is evaluated."""
    names = [f"{RUN}/transfer/{name}/split_{split}/{wildcards.entry}" for name, split in SPLITS]
    return [f"{name}/seed_{seed}/{method}.json" for name in names for seed in SETTINGS.seeds for method in METHODS]
