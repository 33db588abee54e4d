"""Frozen embeddings evaluated: clusters, one layer, nearest neighbours, and one layer that learns from fewer labels."""


rule evaluate_kmeans:
    input:
        index=f"{DATA}/{{collection}}/index.json",
        embeddings=EMBEDDINGS,
    output:
        f"{EVALUATED}/kmeans.json",
    log:
        f"{RUN}/logs/evaluate_kmeans/{{collection}}_{{split}}_{{entry}}_{{seed}}.log",
    benchmark:
        f"{RUN}/benchmarks/evaluate_kmeans/{{collection}}_{{split}}_{{entry}}_{{seed}}.tsv"
    conda:
        "../envs/workflow.yaml"
    resources:
        mem_mb=grows(4000),
        runtime=grows(60),
    params:
        settings=lambda wildcards: settings_json(kmeans=SETTINGS.transfer.kmeans),
        code=code("evaluate_kmeans"),
    shell:
        "python -m pipeline_src.stages.evaluate_kmeans --settings {params.settings:q} --clips-index {input.index:q}"
        " --embeddings {input.embeddings:q} --split {wildcards.split} --entry {wildcards.entry}"
        " --seed {wildcards.seed} --out {output:q} 2> {log:q}"


rule evaluate_linear:
    input:
        index=f"{DATA}/{{collection}}/index.json",
        embeddings=EMBEDDINGS,
    output:
        f"{EVALUATED}/linear.json",
    log:
        f"{RUN}/logs/evaluate_linear/{{collection}}_{{split}}_{{entry}}_{{seed}}.log",
    benchmark:
        f"{RUN}/benchmarks/evaluate_linear/{{collection}}_{{split}}_{{entry}}_{{seed}}.tsv"
    conda:
        "../envs/workflow.yaml"
    resources:
        mem_mb=grows(4000),
        runtime=grows(240),
    params:
        settings=lambda wildcards: settings_json(linear=SETTINGS.transfer.linear),
        code=code("evaluate_linear"),
    shell:
        "python -m pipeline_src.stages.evaluate_linear --settings {params.settings:q} --clips-index {input.index:q}"
        " --embeddings {input.embeddings:q} --split {wildcards.split} --entry {wildcards.entry}"
        " --seed {wildcards.seed} --out {output:q} 2> {log:q}"


rule evaluate_retrieval:
    input:
        index=f"{DATA}/{{collection}}/index.json",
        embeddings=EMBEDDINGS,
    output:
        f"{EVALUATED}/retrieval.json",
    log:
        f"{RUN}/logs/evaluate_retrieval/{{collection}}_{{split}}_{{entry}}_{{seed}}.log",
    benchmark:
        f"{RUN}/benchmarks/evaluate_retrieval/{{collection}}_{{split}}_{{entry}}_{{seed}}.tsv"
    conda:
        "../envs/workflow.yaml"
    resources:
        mem_mb=grows(4000),
        runtime=grows(60),
    params:
        settings=lambda wildcards: settings_json(retrieval=SETTINGS.transfer.retrieval),
        code=code("evaluate_retrieval"),
    shell:
        "python -m pipeline_src.stages.evaluate_retrieval --settings {params.settings:q} --clips-index {input.index:q}"
        " --embeddings {input.embeddings:q} --split {wildcards.split} --entry {wildcards.entry}"
        " --seed {wildcards.seed} --out {output:q} 2> {log:q}"


rule evaluate_fewer_labels:
    input:
        index=f"{DATA}/{{collection}}/index.json",
        embeddings=EMBEDDINGS,
    output:
        f"{EVALUATED}/fewer_labels.json",
    log:
        f"{RUN}/logs/evaluate_fewer_labels/{{collection}}_{{split}}_{{entry}}_{{seed}}.log",
    benchmark:
        f"{RUN}/benchmarks/evaluate_fewer_labels/{{collection}}_{{split}}_{{entry}}_{{seed}}.tsv"
    conda:
        "../envs/workflow.yaml"
    resources:
        mem_mb=grows(4000),
        runtime=grows(240),
    params:
        settings=lambda wildcards: settings_json(
            linear=SETTINGS.transfer.linear, labels=SETTINGS.transfer.fewer_labels.linear
        ),
        code=code("evaluate_fewer_labels"),
    shell:
        "python -m pipeline_src.stages.evaluate_fewer_labels --settings {params.settings:q} --clips-index {input.index:q}"
        " --embeddings {input.embeddings:q} --split {wildcards.split} --entry {wildcards.entry}"
        " --seed {wildcards.seed} --out {output:q} 2> {log:q}"
