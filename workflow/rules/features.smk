"""From decoded shards to flow, grey, audio features, and the index of a collection."""


rule extract_flow:
    input:
        frames=f"{DATA}/{{collection}}/frames/{{shard}}.h5",
        compressed=compressed_videos,
    output:
        flow=f"{DATA}/{{collection}}/flow/{{shard}}.h5",
        status=f"{DATA}/{{collection}}/status/flow/{{shard}}.csv",
    log:
        f"{DATA}/{{collection}}/logs/extract_flow/{{shard}}.log",
    benchmark:
        f"{DATA}/{{collection}}/benchmarks/extract_flow/{{shard}}.tsv"
    conda:
        "../envs/workflow.yaml"
    threads: 8
    resources:
        mem_mb=grows(4000),
        runtime=grows(480),
        gpu=gpus(SETTINGS.flow.settings.get("device", "cpu")),
    params:
        settings=lambda wildcards: settings_json(
            flow=SETTINGS.flow, **({"decode": SETTINGS.decode} if FLOW_READS_MEDIA else {})
        ),
        compressed=lambda wildcards, input: (
            ["--plan", input.compressed[0], "--fetched", input.compressed[1]] if FLOW_READS_MEDIA else []
        ),
        code=code("extract_flow", catalogue.module("flow", SETTINGS.flow.method)),
    shell:
        "python -m pipeline_src.stages.extract_flow --settings {params.settings:q} --frames {input.frames:q}"
        " {params.compressed:q} --out {output.flow:q} --status {output.status:q} --threads {threads} 2> {log:q}"


rule extract_grey:
    input:
        f"{DATA}/{{collection}}/frames/{{shard}}.h5",
    output:
        f"{DATA}/{{collection}}/grey/{{shard}}.h5",
    log:
        f"{DATA}/{{collection}}/logs/extract_grey/{{shard}}.log",
    benchmark:
        f"{DATA}/{{collection}}/benchmarks/extract_grey/{{shard}}.tsv"
    conda:
        "../envs/workflow.yaml"
    resources:
        mem_mb=grows(2000),
        runtime=grows(60),
    params:
        settings=lambda wildcards: settings_json(),
        code=code("extract_grey"),
    shell:
        "python -m pipeline_src.stages.extract_grey --settings {params.settings:q} --frames {input:q} --out {output:q} 2> {log:q}"


rule extract_audio:
    input:
        f"{DATA}/{{collection}}/sound/{{shard}}.h5",
    output:
        f"{DATA}/{{collection}}/audio/{{shard}}.h5",
    log:
        f"{DATA}/{{collection}}/logs/extract_audio/{{shard}}.log",
    benchmark:
        f"{DATA}/{{collection}}/benchmarks/extract_audio/{{shard}}.tsv"
    conda:
        "../envs/workflow.yaml"
    resources:
        mem_mb=grows(2000),
        runtime=grows(120),
    params:
        settings=lambda wildcards: settings_json(audio=SETTINGS.audio),
        code=code("extract_audio"),
    shell:
        "python -m pipeline_src.stages.extract_audio --settings {params.settings:q} --sound {input:q} --out {output:q} 2> {log:q}"


rule index_collection:
    input:
        shards_of,
    output:
        index=f"{DATA}/{{collection}}/index.json",
        clips=f"{DATA}/{{collection}}/clips.csv",
    log:
        f"{DATA}/{{collection}}/logs/index_collection.log",
    benchmark:
        f"{DATA}/{{collection}}/benchmarks/index_collection.tsv"
    conda:
        "../envs/workflow.yaml"
    resources:
        mem_mb=grows(4000),
        runtime=grows(240),
    params:
        settings=lambda wildcards: settings_json(
            modalities=SETTINGS.collections[wildcards.collection].modalities,
            min_success=SETTINGS.collections[wildcards.collection].min_success,
            retries=SETTINGS.collections[wildcards.collection].retries,
        ),
        folder=lambda wildcards: f"{DATA}/{wildcards.collection}",
        code=code("index_collection"),
    shell:
        "python -m pipeline_src.stages.index_collection --settings {params.settings:q} --folder {params.folder:q} --out {output.index:q}"
        " --clips {output.clips:q} 2> {log:q}"
