"""What the jobs of the search depend on."""


def state_before(wildcards):
    """The state that a generation starts from; none for the first."""
    number = int(wildcards.generation)
    return [f"{RUN}/{wildcards.search}/gen_{number - 1:03d}/state.json"] if number else []


def search_settings(wildcards):
    """What proposing and ranking a generation depends on: neither the number of generations nor another one's size."""
    search = SETTINGS.search
    own = {name: getattr(search, name) for name in StrategySettings.model_fields}
    if wildcards.search == "random":
        own |= {"strategy": "random", "settings": {}, "start": "uniform"}
    return {**own, "population": search.population_of(int(wildcards.generation))}


def search_seed(wildcards):
    """What proposals derive from; another seed for random weights, or a search that begins with such would share them."""
    return SETTINGS.seed if wildcards.search == "search" else SETTINGS.seed + 1


def strategy_code(stage):
    """Version of the code behind a stage and of the strategy of each search."""

    def version(wildcards):
        return code(stage, catalogue.module("strategy", search_settings(wildcards)["strategy"]))

    return version


def start_table(wildcards):
    """The earlier search's table that the first generation begins with, where one is configured."""
    table = SETTINGS.search.start_table
    first = wildcards.search == "search" and int(wildcards.generation) == 0
    return [table] if table and first else []


def trials_of_generation(wildcards):
    return Trials(SETTINGS.search.population_of(int(wildcards.generation)), **SETTINGS.search.trials.model_dump())


def results_of_rung(wildcards, rung):
    """What the jobs of a rung found, with all seeds."""
    trials = trials_of_generation(wildcards)
    here = f"{RUN}/{wildcards.search}/gen_{wildcards.generation}"
    return [f"{here}/{job}/fitness.json" for seed in range(trials.seeds) for job in trials.folders(rung, seed)]


def all_results(wildcards):
    """What the jobs of all rungs found."""
    rungs = range(SETTINGS.search.trials.rungs)
    return [path for rung in rungs for path in results_of_rung(wildcards, rung)]


def earlier_results(wildcards):
    """What decides who fills the slots of a rung; nothing for the first."""
    return results_of_rung(wildcards, int(wildcards.rung) - 1) if int(wildcards.rung) else []


def earlier_states(wildcards):
    """What the trainings of a rung go on from; nothing for the first."""
    if int(wildcards.rung) == 0:
        return []
    trials = trials_of_generation(wildcards)
    here = f"{RUN}/{wildcards.search}/gen_{wildcards.generation}"
    return [f"{here}/{job}/states.pt" for job in trials.folders(int(wildcards.rung) - 1, int(wildcards.seed))]


def trial_settings(keep_encoders=SETTINGS.search.keep_encoders, **changed):
    """What the trials of individuals depend on."""
    return training_settings(
        SETTINGS.proxy,
        fitness=SETTINGS.fitness,
        trials={**SETTINGS.search.trials.model_dump(), **changed},
        keep_encoders=keep_encoders,
        seed=SETTINGS.seed,
        code=code("try_weights", *term_modules(SETTINGS.loss.terms)),
    )


def alone_terms():
    """Terms that are tried alone, as controls."""
    return SETTINGS.search.controls_of(SETTINGS.loss.terms)


def control_results(wildcards):
    """What the jobs of the controls found: uniform weights, and each term alone."""
    trials = Trials(1 + len(alone_terms()), **{**SETTINGS.search.trials.model_dump(), "rungs": 1})
    jobs = [job for seed in range(trials.seeds) for job in trials.folders(0, seed)]
    return [f"{RUN}/search/controls/{job}/fitness.json" for job in jobs]
