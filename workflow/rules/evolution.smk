"""The search: calibration, and generations of propose, pretrain, score and rank as ordinary targets.

Its jobs go before others that are ready, but for the checks: the search is the longest chain of the graph.
"""

GENERATION = f"{RUN}/search/gen_{{generation}}"
INDIVIDUAL = f"{GENERATION}/ind_{{individual}}"
INDIVIDUALS = [f"{number:03d}" for number in range(SETTINGS.search.population)]
SEARCH = {
    "strategy": SETTINGS.search.strategy,
    "settings": SETTINGS.search.settings,
    "population": SETTINGS.search.population,
}
STRATEGY = catalogue.module("strategy", SETTINGS.search.strategy)


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
    threads: SETTINGS.torch_threads
    resources:
        mem_mb=grows(8000),
        runtime=grows(60),
        gpu=gpus(SETTINGS.proxy.device),
    params:
        settings=lambda wildcards: training_settings(SETTINGS.proxy, seed=SETTINGS.seed),
        code=code("calibrate_loss", *term_modules(SETTINGS.loss.terms)),
    shell:
        "python -m pipeline_src.stages.calibrate_loss --settings {params.settings:q} --pool {input.pool:q} --out {output:q} 2> {log:q}"


rule propose_weights:
    input:
        state_before,
    output:
        population=f"{GENERATION}/population.csv",
        weights=[f"{GENERATION}/ind_{individual}/weights.json" for individual in INDIVIDUALS],
    log:
        f"{RUN}/logs/propose_weights/{{generation}}.log",
    priority: 1
    conda:
        "../envs/workflow.yaml"
    params:
        settings=lambda wildcards: settings_json(search=SEARCH, terms=SETTINGS.loss.terms, seed=SETTINGS.seed),
        state=lambda wildcards, input: ["--state", *input] if input else [],
        folder=lambda wildcards, output: str(Path(output.population).parent),
        code=code("propose_weights", STRATEGY),
    shell:
        "python -m pipeline_src.stages.propose_weights --settings {params.settings:q} --generation {wildcards.generation} {params.state:q}"
        " --population {output.population:q} --folder {params.folder:q} 2> {log:q}"


rule pretrain_individual:
    input:
        pool=f"{DATA}/pool/index.json",
        weights=f"{INDIVIDUAL}/weights.json",
        scales=f"{RUN}/search/scales.json",
    output:
        encoder=temp(f"{INDIVIDUAL}/encoder.safetensors"),
        metrics=f"{INDIVIDUAL}/metrics.jsonl",
    log:
        f"{RUN}/logs/pretrain_individual/{{generation}}_{{individual}}.log",
    benchmark:
        f"{RUN}/benchmarks/pretrain_individual/{{generation}}_{{individual}}.tsv"
    priority: 1
    conda:
        "../envs/workflow.yaml"
    threads: SETTINGS.torch_threads
    resources:
        mem_mb=grows(8000),
        runtime=grows(240),
        gpu=gpus(SETTINGS.proxy.device),
    params:
        settings=lambda wildcards: training_settings(
            SETTINGS.proxy,
            seed=SETTINGS.seed,
            code=code("pretrain_individual", *term_modules(SETTINGS.loss.terms)),
        ),
    shell:
        "python -m pipeline_src.stages.pretrain_individual --settings {params.settings:q} --pool {input.pool:q} --weights {input.weights:q}"
        " --scales {input.scales:q} --encoder {output.encoder:q} --metrics {output.metrics:q} 2> {log:q}"


rule score_individual:
    input:
        pool=f"{DATA}/pool/index.json",
        weak=weak_index,
        encoder=f"{INDIVIDUAL}/encoder.safetensors",
    output:
        f"{INDIVIDUAL}/fitness.json",
    log:
        f"{RUN}/logs/score_individual/{{generation}}_{{individual}}.log",
    benchmark:
        f"{RUN}/benchmarks/score_individual/{{generation}}_{{individual}}.tsv"
    priority: 1
    conda:
        "../envs/workflow.yaml"
    threads: SETTINGS.torch_threads
    resources:
        mem_mb=grows(8000),
        runtime=grows(60),
        gpu=gpus(SETTINGS.fitness.embed.device),
    params:
        settings=fitness_settings,
        weak=lambda wildcards, input: ["--weak", input.weak] if input.weak else [],
        code=code("score_encoder"),
    shell:
        "python -m pipeline_src.stages.score_encoder --settings {params.settings:q} --pool {input.pool:q} {params.weak:q}"
        " --encoder {input.encoder:q} --out {output:q} 2> {log:q}"


rule rank_generation:
    input:
        state=state_before,
        population=f"{GENERATION}/population.csv",
        fitness=[f"{GENERATION}/ind_{individual}/fitness.json" for individual in INDIVIDUALS],
    output:
        table=f"{GENERATION}/generation.csv",
        state=f"{GENERATION}/state.json",
    log:
        f"{RUN}/logs/rank_generation/{{generation}}.log",
    priority: 1
    conda:
        "../envs/workflow.yaml"
    params:
        settings=lambda wildcards: settings_json(search=SEARCH, terms=SETTINGS.loss.terms, seed=SETTINGS.seed),
        state=lambda wildcards, input: ["--state", input.state] if input.state else [],
        folder=lambda wildcards, output: str(Path(output.table).parent),
        code=code("rank_generation", STRATEGY),
    shell:
        "python -m pipeline_src.stages.rank_generation --settings {params.settings:q} --generation {wildcards.generation} {params.state:q}"
        " --population {input.population:q} --folder {params.folder:q} --table {output.table:q}"
        " --state-out {output.state:q} 2> {log:q}"
