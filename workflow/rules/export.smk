"""The models that people take home: of each trained entry the one of the first seed."""

EXPORT = f"{RUN}/export/{{entry}}"
# What this run did not train is of no use to anyone or is others'; asked for by name, its export is made all the same.
EXPORTS = [f"{RUN}/export/{entry.name}/README.md" for entry in SETTINGS.lineup if entry.trained]


rule export_encoder:
    input:
        encoder=f"{RUN}/models/{{entry}}/seed_{SETTINGS.seeds[0]}/encoder.safetensors",
        weights=f"{RUN}/models/{{entry}}/weights.json",
        index=training_index,
        results=results_of_entry,
        labelled=[f"{DATA}/{name}/index.json" for name in SETTINGS.transfer.collections],
    output:
        encoder=f"{EXPORT}/encoder.safetensors",
        config=f"{EXPORT}/config.json",
        card=f"{EXPORT}/README.md",
    log:
        f"{RUN}/logs/export_encoder/{{entry}}.log",
    benchmark:
        f"{RUN}/benchmarks/export_encoder/{{entry}}.tsv"
    conda:
        "../envs/workflow.yaml"
    resources:
        mem_mb=grows(4000),
        runtime=grows(30),
    params:
        settings=lambda wildcards: settings_json(
            run=SETTINGS.run,
            entry=wildcards.entry,
            kind=ENTRIES[wildcards.entry].kind,
            pretrained=ENTRIES[wildcards.entry].weights,
            source=SETTINGS.collections[ENTRIES[wildcards.entry].collection or "pool"].source.kind,
            seeds=SETTINGS.seeds,
            decode=SETTINGS.decode,
            embed=SETTINGS.transfer.embed,
            training=SETTINGS.final_of(ENTRIES[wildcards.entry]),
        ),
        part=lambda wildcards: training_part(ENTRIES[wildcards.entry]),
        code=code("export_encoder"),
    shell:
        "python -m pipeline_src.stages.export_encoder --settings {params.settings:q} --encoder {input.encoder:q} --weights {input.weights:q} --index {input.index:q}"
        " {params.part:q} --results {input.results:q} --labelled {input.labelled:q} --out-encoder {output.encoder:q} --out-config {output.config:q} --out-card {output.card:q} 2> {log:q}"
