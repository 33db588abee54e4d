"""The search: calibration, and generations of propose, try and rank as ordinary targets.

Its jobs go before others that are ready, but for the checks: the search is the longest chain of the graph.
"""

GENERATIONS = [f"{RUN}/search/gen_{number:03d}" for number in range(SETTINGS.search.generations)]


rule calibrate_loss:
    input:
        pool=f"{DATA}/pool/index.json",
    output:
        f"{RUN}/search/scales.json",
    log:
        f"{RUN}/logs/calibrate_loss.log",
    benchmark:
        f"{RUN}/benchmarks/calibrate_loss.tsv"
    priority: 1
    conda:
        "../envs/workflow.yaml"
    threads: training_cores(SETTINGS.proxy)
    resources:
        mem_mb=grows(training_memory(SETTINGS.proxy, 8000)),
        runtime=grows(60),
        gpu=gpus(SETTINGS.proxy.device),
    params:
        settings=lambda wildcards: training_settings(calibration(), seed=SETTINGS.seed),
        machine=PROXY_MACHINE,
        code=code("calibrate_loss", *term_modules(SETTINGS.loss.terms)),
    shell:
        "python -m pipeline_src.stages.calibrate_loss --settings {params.settings:q} --machine {params.machine:q} --pool {input.pool:q} --out {output:q} 2> {log:q}"


rule propose_weights:
    input:
        state=state_before,
        start=start_table,
    output:
        f"{GENERATION}/population.csv",
    log:
        f"{RUN}/logs/propose_weights/{{search}}_{{generation}}.log",
    priority: 1
    conda:
        "../envs/workflow.yaml"
    params:
        settings=lambda wildcards: settings_json(
            search=search_settings(wildcards), terms=SETTINGS.loss.terms, seed=search_seed(wildcards)
        ),
        state=lambda wildcards, input: ["--state", input.state] if input.state else [],
        start=lambda wildcards, input: ["--start", input.start] if input.start else [],
        code=strategy_code("propose_weights"),
    shell:
        "python -m pipeline_src.stages.propose_weights --settings {params.settings:q} --generation {wildcards.generation} {params.state:q}"
        " {params.start:q} --population {output:q} 2> {log:q}"


rule rank_generation:
    input:
        state=state_before,
        population=f"{GENERATION}/population.csv",
        fitness=all_results,
    output:
        table=f"{GENERATION}/generation.csv",
        state=f"{GENERATION}/state.json",
    log:
        f"{RUN}/logs/rank_generation/{{search}}_{{generation}}.log",
    priority: 1
    conda:
        "../envs/workflow.yaml"
    params:
        settings=lambda wildcards: settings_json(
            search=search_settings(wildcards),
            trials=SETTINGS.search.trials,
            weak_measure=SETTINGS.fitness.weak.measure if SETTINGS.fitness.weak else None,
            terms=SETTINGS.loss.terms,
            seed=SETTINGS.seed,
        ),
        state=lambda wildcards, input: ["--state", input.state] if input.state else [],
        folder=lambda wildcards, output: str(Path(output.table).parent),
        code=strategy_code("rank_generation"),
    shell:
        "python -m pipeline_src.stages.rank_generation --settings {params.settings:q} --generation {wildcards.generation} {params.state:q}"
        " --population {input.population:q} --folder {params.folder:q} --table {output.table:q}"
        " --state-out {output.state:q} 2> {log:q}"


rule collect_individuals:
    input:
        [f"{folder}/generation.csv" for folder in GENERATIONS],
    output:
        csv=f"{RUN}/search/individuals.csv",
        parquet=f"{RUN}/search/individuals.parquet",
    log:
        f"{RUN}/logs/collect_individuals.log",
    conda:
        "../envs/workflow.yaml"
    params:
        settings=lambda wildcards: settings_json(),
        run=lambda wildcards, output: str(Path(output.csv).parents[1]),
        generations=SETTINGS.search.generations,
        code=code("collect_individuals"),
    shell:
        "python -m pipeline_src.stages.collect_individuals --settings {params.settings:q} --run {params.run:q}"
        " --generations {params.generations}"
        " --csv {output.csv:q} --parquet {output.parquet:q} 2> {log:q}"
