"""What finds out early that a run cannot succeed: overlap of pool and tests, and a pool too small for its fitness.

These go before all other jobs that are ready. No training depends on them, else it would run again when only a labelled
set or the fitness changed. (`ancient` inputs are no way to say this: Snakemake then overlooks changed settings of all
jobs further down.)
"""


rule check_overlap:
    input:
        [f"{DATA}/{name}/plan/shards.json" for name in ["pool", *LABELLED]],
    output:
        f"{RUN}/overlap.json",
    log:
        f"{RUN}/logs/check_overlap.log",
    priority: 2
    conda:
        "../envs/workflow.yaml"
    params:
        settings=lambda wildcards: settings_json(),
        pool=lambda wildcards, input: str(Path(input[0]).parents[1]),
        labelled=lambda wildcards, input: [str(Path(plan).parents[1]) for plan in input[1:]],
        code=code("check_overlap"),
    shell:
        "python -m pipeline_src.stages.check_overlap --settings {params.settings:q} --pool {params.pool:q}"
        " --labelled {params.labelled:q} --out {output:q} 2> {log:q}"


rule score_controls:
    input:
        pool=f"{DATA}/pool/index.json",
        weak=weak_index,
    output:
        f"{RUN}/search/controls.json",
    log:
        f"{RUN}/logs/score_controls.log",
    benchmark:
        f"{RUN}/benchmarks/score_controls.tsv"
    priority: 2
    conda:
        "../envs/workflow.yaml"
    threads: SETTINGS.torch_threads
    resources:
        mem_mb=grows(8000),
        runtime=grows(60),
        gpu=gpus(SETTINGS.fitness.embed.device),
    params:
        settings=lambda wildcards: training_settings(
            SETTINGS.proxy, fitness=SETTINGS.fitness.model_dump(mode="json"), seed=SETTINGS.seed
        ),
        weak=lambda wildcards, input: ["--weak", input.weak] if input.weak else [],
        code=code("score_controls"),
    shell:
        "python -m pipeline_src.stages.score_controls --settings {params.settings:q} --pool {input.pool:q} {params.weak:q}"
        " --out {output:q} 2> {log:q}"
