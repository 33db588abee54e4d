"""The models of the lineup: their weights, their training, and their fitness."""

MODEL = f"{RUN}/models/{{entry}}/seed_{{seed}}"
IMPORTED = [name for name, entry in ENTRIES.items() if entry.kind == "pretrained"]
MODELS = [f"{RUN}/models/{entry}/seed_{seed}" for entry in ENTRIES for seed in SETTINGS.seeds]


rule choose_weights:
    input:
        search_result,
    output:
        f"{RUN}/models/{{entry}}/weights.json",
    log:
        f"{RUN}/logs/choose_weights/{{entry}}.log",
    conda:
        "../envs/workflow.yaml"
    params:
        settings=lambda wildcards: settings_json(
            entry=ENTRIES[wildcards.entry],
            terms=SETTINGS.loss_of(ENTRIES[wildcards.entry]).terms,
            seed=SETTINGS.seed,
            **searched_space(ENTRIES[wildcards.entry]),
        ),
        search=search_option,
        code=code("choose_weights"),
    shell:
        "python -m pipeline_src.stages.choose_weights --settings {params.settings:q} {params.search:q} --out {output:q} 2> {log:q}"


rule import_model:
    input:
        pool=f"{DATA}/pool/index.json",
        weights=lambda wildcards: weights_file(ENTRIES[wildcards.entry]),
    output:
        encoder=f"{MODEL}/encoder.safetensors",
        config=f"{MODEL}/config.json",
        metrics=f"{MODEL}/metrics.jsonl",
    log:
        f"{RUN}/logs/import_model/{{entry}}_{{seed}}.log",
    benchmark:
        f"{RUN}/benchmarks/import_model/{{entry}}_{{seed}}.tsv"
    wildcard_constraints:
        entry="|".join(IMPORTED) or "-",
    conda:
        "../envs/workflow.yaml"
    resources:
        mem_mb=grows(4000),
        runtime=grows(60),
    params:
        settings=lambda wildcards: settings_json(
            weights=ENTRIES[wildcards.entry].weights,
            network=ENTRIES[wildcards.entry].network,
            window=SETTINGS.window,
            fit=SETTINGS.decode.fit,
        ),
        code=code("import_model"),
    shell:
        "python -m pipeline_src.stages.import_model --settings {params.settings:q} --pool {input.pool:q} --encoder {output.encoder:q}"
        " --config {output.config:q} --metrics {output.metrics:q} 2> {log:q}"


rule pretrain_model:
    input:
        pool=training_index,
        weights=f"{RUN}/models/{{entry}}/weights.json",
        scales=f"{RUN}/search/scales.json",
    output:
        encoder=f"{MODEL}/encoder.safetensors",
        config=f"{MODEL}/config.json",
        metrics=f"{MODEL}/metrics.jsonl",
    log:
        f"{RUN}/logs/pretrain_model/{{entry}}_{{seed}}.log",
    benchmark:
        f"{RUN}/benchmarks/pretrain_model/{{entry}}_{{seed}}.tsv"
    wildcard_constraints:
        entry="|".join(name for name in ENTRIES if name not in IMPORTED) or "-",
    conda:
        "../envs/workflow.yaml"
    threads: training_cores(SETTINGS.final)
    resources:
        mem_mb=grows(training_memory(SETTINGS.final, 16000)),
        runtime=grows(1440),
        gpu=gpus(SETTINGS.final.device) * SETTINGS.final.processes,
    params:
        settings=lambda wildcards: training_settings(
            SETTINGS.final_of(ENTRIES[wildcards.entry]),
            SETTINGS.loss_of(ENTRIES[wildcards.entry]),
            code=code("pretrain_model", *term_modules(SETTINGS.loss_of(ENTRIES[wildcards.entry]).terms)),
        ),
        machine=FINAL_MACHINE,
        part=lambda wildcards: training_part(ENTRIES[wildcards.entry]),
    shell:
        "python -m pipeline_src.stages.pretrain_model --settings {params.settings:q} --machine {params.machine:q} --pool {input.pool:q} --weights {input.weights:q}"
        " --scales {input.scales:q} --seed {wildcards.seed} --encoder {output.encoder:q} --config {output.config:q}"
        " --metrics {output.metrics:q} {params.part:q} 2> {log:q}"


rule score_model:
    input:
        pool=f"{DATA}/pool/index.json",
        weak=weak_index,
        encoder=f"{MODEL}/encoder.safetensors",
    output:
        f"{MODEL}/fitness.json",
    log:
        f"{RUN}/logs/score_model/{{entry}}_{{seed}}.log",
    benchmark:
        f"{RUN}/benchmarks/score_model/{{entry}}_{{seed}}.tsv"
    conda:
        "../envs/workflow.yaml"
    threads: SETTINGS.torch_threads
    resources:
        mem_mb=grows(8000),
        runtime=grows(60),
        gpu=gpus(SETTINGS.fitness.embed.device),
    params:
        settings=fitness_settings,
        machine=FITNESS_MACHINE,
        weak=lambda wildcards, input: ["--weak", input.weak] if input.weak else [],
        code=code("score_encoder"),
    shell:
        "python -m pipeline_src.stages.score_encoder --settings {params.settings:q} --machine {params.machine:q} --pool {input.pool:q} {params.weak:q}"
        " --encoder {input.encoder:q} --out {output:q} 2> {log:q}"
