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
