"""What was run, in words, from the settings."""

from pipeline_src.report.gather import ClipSet, RunFacts
from pipeline_src.report.phrases import listed, number, several, whole
from pipeline_src.report.terms import families, ordered
from pipeline_src.settings.clips import BenchmarkSource, FolderSource, WorldSource


def summary(facts: RunFacts) -> str:
    """The run in one paragraph."""
    settings = facts.settings
    search, lineup = settings.search, settings.lineup
    tried = search.generations * search.population
    pool = facts.collections[0].index["usable"]
    video = settings.network.video
    text = (
        f"A search for the weights of a loss with {several(len(settings.loss.terms), 'term')}:"
        f" {several(search.generations, 'generation')} of {several(search.population, 'individual')}, {whole(tried)}"
        f" trainings of {video} for {several(settings.proxy.iterations, 'iteration')} on"
        f" {several(pool, 'unlabelled clip')}. Then"
        f" {several(len(lineup), 'entry', 'entries')} of the lineup, evolved and others, each trained for"
        f" {several(settings.final.iterations, 'iteration')} with {several(len(settings.seeds), 'seed')}"
    )
    if settings.transfer.collections:
        return f"{text}; their rgb networks were evaluated on {listed(settings.transfer.collections)}."
    return f"{text}. No labelled collection was configured to evaluate them on."


def facts_list(facts: RunFacts) -> list[tuple[str, str]]:
    """The parts of the run: name and description."""
    s = facts.settings
    frames = f"{s.decode.frame_rate:g} frames per second, {s.decode.height} × {s.decode.width} pixels"
    video = s.network.video + (f" (width {s.network.width})" if s.network.video == "small_r3d" else "")
    names = families(ordered(s.loss.terms))
    distilled = sum(term.startswith("distill.") for term in s.loss.terms)
    parts = [f"{family} {len(terms)}" for family, terms in names.items()]
    parts += [f"distillation {distilled}"] if distilled else []
    scaled = (
        f"each divided by the median norm of its gradient over {several(s.loss.calibrate_batches, 'batch', 'batches')}"
        if s.loss.calibrate
        else "not rescaled, as in the paper’s formula"
    )
    found = [(f"Clips: {found.name}", _clips(facts, found)) for found in facts.collections]
    found += [
        ("Decoding", f"{frames}; flow by {s.flow.method}."),
        (
            "Networks",
            f"{video} for rgb, flow and grey, on windows of {s.window.frames} frames of"
            f" {s.window.crop} × {s.window.crop} pixels.",
        ),
        ("Terms", f"{len(s.loss.terms)} ({', '.join(parts)}), {scaled}."),
        (
            "Search",
            f"{s.search.strategy}, {several(s.search.generations, 'generation')} ×"
            f" {several(s.search.population, 'individual')}; each trained for"
            f" {_training(s.proxy.iterations, s.proxy.batch_size)} and judged by {_fitness(facts)}",
        ),
        (
            "Lineup",
            f"{listed([entry.name for entry in s.lineup])}; each trained for"
            f" {_training(s.final.iterations, s.final.batch_size)} with"
            f" {'seed' if len(s.seeds) == 1 else 'seeds'} {listed([str(seed) for seed in s.seeds])}.",
        ),
    ]
    if s.transfer.collections:
        found.append(("Evaluation", _evaluation(facts)))
    return [*found, *_code(facts)]


def _clips(facts: RunFacts, found: ClipSet) -> str:
    collection = facts.settings.collections[found.name]
    source = collection.source
    if isinstance(source, WorldSource):
        origin = f"videos of the built-in world, {source.classes} classes"
    elif isinstance(source, FolderSource):
        origin = "videos of a folder"
    elif isinstance(source, BenchmarkSource):
        origin = f"the benchmark {source.name}"
    else:
        origin = "videos of a list"
    text = f"{whole(found.index['usable'])} of {several(found.index['planned'], 'planned clip')} from {origin};"
    text += f" {listed(list(collection.modalities))}"
    if collection.labelled:
        text += f"; {several(collection.split_count, 'split')}"
        rows = facts.results[facts.results["collection"] == found.name]
        known = rows.dropna(subset=["classes", "test_clips"])
        if len(known):
            first = known.iloc[0]
            text += f", {whole(first['classes'])} classes, {whole(first['test_clips'])} test clips in the first"
            if first["unseen_clips"] > 0:
                text += f", {whole(first['unseen_clips'])} of them of classes without training clips"
    return f"{text}. {found.note}." if found.note else f"{text}."


def _evaluation(facts: RunFacts) -> str:
    """By which methods, on what, and how often."""
    s = facts.settings
    fine, rates = s.transfer.finetune, [f"{rate:g}" for rate in s.transfer.finetune.learning_rates]
    rate = f"that of {listed(rates)} which is best on validation clips" if len(rates) > 1 else rates[0]
    seeds = f"{'seed' if len(s.seeds) == 1 else 'each of the seeds'} {listed([str(seed) for seed in s.seeds])}"
    sets = []
    for name in s.transfer.collections:
        collection = s.collections[name]
        per_video = "clip" if collection.plan.per_video == 1 else "clips"
        clips = (
            "whole videos" if collection.plan.duration_s is None else f"{collection.plan.per_video} {per_video} a video"
        )
        sets.append(f"{name} ({several(collection.split_count, 'split')}, {clips})")
    windows = several(s.transfer.embed.windows, "window")
    return (
        "k-means, one layer, retrieval and a vote of the nearest on frozen features, and fine-tuning for"
        f" {_training(fine.iterations, fine.batch_size)} with learning rate {rate}; every entry, with {seeds}, on every"
        f" split of {listed(sets)}. What is said of a clip is the mean over {windows} of it."
    )


def _training(iterations: int, batch_size: int) -> str:
    return f"{several(iterations, 'iteration')} of {batch_size} clips"


def _fitness(facts: RunFacts) -> str:
    fitness = facts.settings.fitness
    if fitness.measure == "zipf":
        return (
            f"the Zipf fitness of up to {several(fitness.clips, 'clip')}: minus the divergence of the sizes of"
            f" {fitness.zipf.clusters} clusters from Zipf’s law (exponent {number(fitness.zipf.exponent, 1)})."
        )
    weak = fitness.weak
    assert weak is not None  # the settings require it for this measure
    if fitness.measure == "mix":
        return (
            f"{number(fitness.mix.zipf, 2)} of the Zipf fitness ({fitness.zipf.clusters} clusters of up to"
            f" {several(fitness.clips, 'clip')}) and {number(fitness.mix.weak, 2)} of the agreement ({weak.measure}) of"
            f" clusters with classes of {weak.collection}, training part."
        )
    return f"the agreement ({weak.measure}) of clusters with classes of {weak.collection}, training part."


def _code(facts: RunFacts) -> list[tuple[str, str]]:
    """The code that trained the models, where their files say so."""
    texts = set()
    for model in facts.models:
        record = model.provenance
        if "git_revision" in record:
            packages = record.get("packages", {})
            torch = f", torch {packages['torch']}" if "torch" in packages else ""
            texts.add(f"revision {record['git_revision']}, Python {record.get('python', 'unknown')}{torch}")
    return [("Code of the models", "; ".join(sorted(texts)) + ".")] if texts else []
