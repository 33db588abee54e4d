"""The results table: what every lineup entry reached, beside baselines that learn nothing."""

METHODS = ("kmeans", "linear", "finetune", "retrieval")
MORE = [
    *(["probes"] if SETTINGS.transfer.probes.names else []),
    *(["fewer_labels"] if SETTINGS.transfer.fewer_labels.linear else []),
    *(f"finetune_{labels}" for labels in SETTINGS.transfer.fewer_labels.finetune),
]
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
    for method in (*METHODS, *MORE)
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
            kmeans=SETTINGS.transfer.kmeans,
            linear=SETTINGS.transfer.linear,
            retrieval=SETTINGS.transfer.retrieval,
            seed=SETTINGS.seed,
        ),
        code=code("evaluate_baselines"),
    shell:
        "python -m pipeline_src.stages.evaluate_baselines --settings {params.settings:q} --clips-index {input:q} --split {wildcards.split}"
        " --out {output:q} 2> {log:q}"


rule collect_results:
    input:
        RESULTS,
        BASELINES,
        indices=[f"{DATA}/{name}/index.json" for name in SETTINGS.transfer.collections],
    output:
        results=f"{RUN}/transfer/results.csv",
        summary=f"{RUN}/transfer/summary.csv",
        paired=f"{RUN}/transfer/paired.csv",
        retrieval=f"{RUN}/transfer/retrieval.csv",
        fewer_labels=f"{RUN}/transfer/fewer_labels.csv",
        fewer_labels_summary=f"{RUN}/transfer/fewer_labels_summary.csv",
        probes=f"{RUN}/transfer/probes.csv",
    log:
        f"{RUN}/logs/collect_results.log",
    conda:
        "../envs/workflow.yaml"
    params:
        settings=lambda wildcards: settings_json(
            lineup=[entry.model_dump(mode="json") for entry in SETTINGS.lineup],
            seeds=SETTINGS.seeds,
            splits=SPLITS,
            fewer_labels=SETTINGS.transfer.fewer_labels,
            probes=SETTINGS.transfer.probes,
        ),
        indices=lambda wildcards, input: [word for path in input.indices for word in ("--index", path)],
        folder=lambda wildcards, output: str(Path(output[0]).parent),
        code=code("collect_results"),
    shell:
        "python -m pipeline_src.stages.collect_results --settings {params.settings:q} --folder {params.folder:q} {params.indices:q}"
        " --results {output.results:q} --summary {output.summary:q} --paired {output.paired:q} --retrieval {output.retrieval:q}"
        " --fewer-labels {output.fewer_labels:q} --fewer-labels-summary {output.fewer_labels_summary:q} --probes {output.probes:q} 2> {log:q}"
