"""The results table: what every lineup entry reached, beside baselines that learn nothing."""

METHODS = ("kmeans", "linear", "finetune")
SPLITS = [
    (name, split)
    for name in SETTINGS.transfer.collections
    for split in range(1, SETTINGS.collections[name].split_count + 1)
]
BASELINES = [f"{RUN}/transfer/{name}/split_{split}/baselines.json" for name, split in SPLITS]
RESULTS = [
    f"{RUN}/transfer/{name}/split_{split}/{entry}/seed_{seed}/{method}.json"
    for name, split in SPLITS
    for entry in ENTRIES
    for seed in SETTINGS.seeds
    for method in METHODS
]


rule evaluate_baselines:
    input:
        f"{DATA}/{{collection}}/index.json",
    output:
        f"{SPLIT}/baselines.json",
    log:
        f"{RUN}/logs/evaluate_baselines/{{collection}}_{{split}}.log",
    benchmark:
        f"{RUN}/benchmarks/evaluate_baselines/{{collection}}_{{split}}.tsv"
    conda:
        "../envs/workflow.yaml"
    resources:
        mem_mb=grows(4000),
        runtime=grows(240),
    params:
        settings=lambda wildcards: settings_json(
            kmeans=SETTINGS.transfer.kmeans, linear=SETTINGS.transfer.linear, seed=SETTINGS.seed
        ),
        code=code("evaluate_baselines"),
    shell:
        "python -m pipeline_src.stages.evaluate_baselines --settings {params.settings:q} --clips-index {input:q} --split {wildcards.split}"
        " --out {output:q} 2> {log:q}"


rule collect_results:
    input:
        RESULTS,
        BASELINES,
    output:
        f"{RUN}/transfer/results.csv",
    log:
        f"{RUN}/logs/collect_results.log",
    conda:
        "../envs/workflow.yaml"
    params:
        settings=lambda wildcards: settings_json(
            lineup=[entry.model_dump(mode="json") for entry in SETTINGS.lineup], seeds=SETTINGS.seeds, splits=SPLITS
        ),
        folder=lambda wildcards, output: str(Path(output[0]).parent),
        code=code("collect_results"),
    shell:
        "python -m pipeline_src.stages.collect_results --settings {params.settings:q} --folder {params.folder:q} --out {output:q} 2> {log:q}"
