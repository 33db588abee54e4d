"""Every lineup entry embedded and evaluated on every split of the labelled sets."""

EMBEDDINGS = f"{RUN}/embeddings/{{entry}}/seed_{{seed}}/{{collection}}.npz"
SPLIT = f"{RUN}/transfer/{{collection}}/split_{{split}}"
EVALUATED = f"{SPLIT}/{{entry}}/seed_{{seed}}"


rule embed_collection:
    input:
        index=f"{DATA}/{{collection}}/index.json",
        encoder=f"{MODEL}/encoder.safetensors",
        overlap=f"{RUN}/overlap.json",
    output:
        EMBEDDINGS,
    log:
        f"{RUN}/logs/embed_collection/{{entry}}_{{seed}}_{{collection}}.log",
    benchmark:
        f"{RUN}/benchmarks/embed_collection/{{entry}}_{{seed}}_{{collection}}.tsv"
    priority: 1
    conda:
        "../envs/workflow.yaml"
    threads: SETTINGS.torch_threads
    resources:
        mem_mb=grows(8000),
        runtime=grows(240),
        gpu=gpus(SETTINGS.transfer.embed.device),
    params:
        settings=lambda wildcards: settings_json(embed=SETTINGS.transfer.embed, torch_threads=SETTINGS.torch_threads),
        machine=EMBED_MACHINE,
        code=code("embed_collection"),
    shell:
        "python -m pipeline_src.stages.embed_collection --settings {params.settings:q} --machine {params.machine:q} --index {input.index:q} --encoder {input.encoder:q}"
        " --out {output:q} 2> {log:q}"


rule evaluate_finetune:
    input:
        index=f"{DATA}/{{collection}}/index.json",
        encoder=f"{MODEL}/encoder.safetensors",
        overlap=f"{RUN}/overlap.json",
    output:
        f"{EVALUATED}/finetune{{labels}}.json",
    log:
        f"{RUN}/logs/evaluate_finetune/{{collection}}_{{split}}_{{entry}}_{{seed}}{{labels}}.log",
    benchmark:
        f"{RUN}/benchmarks/evaluate_finetune/{{collection}}_{{split}}_{{entry}}_{{seed}}{{labels}}.tsv"
    wildcard_constraints:
        labels="(_[0-9]+(shot|pct))?",
    conda:
        "../envs/workflow.yaml"
    threads: SETTINGS.torch_threads
    resources:
        mem_mb=grows(8000),
        runtime=grows(480),
        gpu=gpus(SETTINGS.transfer.finetune.device),
    params:
        settings=lambda wildcards: settings_json(
            finetune=SETTINGS.transfer.finetune,
            windows=SETTINGS.transfer.embed.windows,
            torch_threads=SETTINGS.torch_threads,
        ),
        machine=FINETUNE_MACHINE,
        labels=lambda wildcards: wildcards.labels.removeprefix("_") or "all",
        code=code("evaluate_finetune"),
    shell:
        "python -m pipeline_src.stages.evaluate_finetune --settings {params.settings:q} --machine {params.machine:q} --clips-index {input.index:q}"
        " --encoder {input.encoder:q} --split {wildcards.split} --entry {wildcards.entry}"
        " --seed {wildcards.seed} --labels {params.labels} --out {output:q} 2> {log:q}"


rule evaluate_probes:
    input:
        index=f"{DATA}/{{collection}}/index.json",
        encoder=f"{MODEL}/encoder.safetensors",
    output:
        f"{EVALUATED}/probes.json",
    log:
        f"{RUN}/logs/evaluate_probes/{{collection}}_{{split}}_{{entry}}_{{seed}}.log",
    benchmark:
        f"{RUN}/benchmarks/evaluate_probes/{{collection}}_{{split}}_{{entry}}_{{seed}}.tsv"
    conda:
        "../envs/workflow.yaml"
    threads: SETTINGS.torch_threads
    resources:
        mem_mb=grows(8000),
        runtime=grows(240),
        gpu=gpus(SETTINGS.transfer.embed.device),
    params:
        settings=lambda wildcards: settings_json(
            probes=SETTINGS.transfer.probes,
            linear=SETTINGS.transfer.linear,
            embed=SETTINGS.transfer.embed,
            torch_threads=SETTINGS.torch_threads,
        ),
        machine=EMBED_MACHINE,
        code=code("evaluate_probes"),
    shell:
        "python -m pipeline_src.stages.evaluate_probes --settings {params.settings:q} --machine {params.machine:q} --clips-index {input.index:q}"
        " --encoder {input.encoder:q} --split {wildcards.split} --entry {wildcards.entry}"
        " --seed {wildcards.seed} --out {output:q} 2> {log:q}"
