"""Input functions: which files a job needs."""

MODALITY_FOLDERS = {"rgb": "frames", "flow": "flow", "grey": "grey", "audio": "audio"}
ENTRIES = {entry.name: entry for entry in SETTINGS.lineup}
LAST = f"{RUN}/search/gen_{SETTINGS.search.generations - 1:03d}"


def plan_input(wildcards):
    source = SETTINGS.collections[wildcards.collection].source
    return {"world": [f"{DATA}/{wildcards.collection}/world"], "list": [getattr(source, "path", "")], "folder": []}[
        source.kind
    ]


def source_state(wildcards):
    """What the files of a folder or list are like, so that a new or replaced video makes a new plan."""
    source = SETTINGS.collections[wildcards.collection].source
    if source.kind == "folder":
        return folder_state(source.path)
    return list_state(source.path, source.path_column, source.root) if source.kind == "list" else ""


def shards_of(wildcards):
    """All that the index is made of: plan, status and shards of every modality, known once clips are planned."""
    plan = checkpoints.plan_clips.get(collection=wildcards.collection).output[0]
    shards = [entry["shard"] for entry in json.loads(Path(plan).read_text())["shards"]]
    folder = f"{DATA}/{wildcards.collection}"
    modalities = SETTINGS.collections[wildcards.collection].modalities
    named = [f"{folder}/{MODALITY_FOLDERS[modality]}/{shard}.h5" for modality in modalities for shard in shards]
    tables = [f"{folder}/{kind}/{shard}.csv" for kind in ("plan", "status/decode") for shard in shards]
    return [*named, *tables]


def state_before(wildcards):
    """The state that a generation starts from; none for the first."""
    number = int(wildcards.generation)
    return [f"{RUN}/search/gen_{number - 1:03d}/state.json"] if number else []


def weak_index(wildcards):
    """The labelled collection of the weak fitness, where one is configured."""
    weak = SETTINGS.fitness.weak
    return [f"{DATA}/{weak.collection}/index.json"] if weak else []


def search_result(wildcards):
    """What the weights of an entry come from: the search's last state, its first generation, or nothing."""
    kind = ENTRIES[wildcards.entry].kind
    if kind == "best_of_first_generation":
        return [f"{RUN}/search/gen_000/generation.csv"]
    return [f"{LAST}/state.json"] if kind in EVOLVED else []


def search_option(wildcards, input):
    if not input:
        return []
    return ["--first" if ENTRIES[wildcards.entry].kind == "best_of_first_generation" else "--state", *input]
