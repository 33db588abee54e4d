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
    """What a folder holds, so that a new video makes a new plan."""
    source = SETTINGS.collections[wildcards.collection].source
    return folder_state(source.path) if source.kind == "folder" else ""


def shards_of(wildcards):
    """Shards of every modality of a collection, known once its clips are planned."""
    plan = checkpoints.plan_clips.get(collection=wildcards.collection).output[0]
    shards = [entry["shard"] for entry in json.loads(Path(plan).read_text())["shards"]]
    return [
        f"{DATA}/{wildcards.collection}/{MODALITY_FOLDERS[modality]}/{shard}.h5"
        for modality in SETTINGS.collections[wildcards.collection].modalities
        for shard in shards
    ]


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
