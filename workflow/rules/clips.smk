"""From sources to decoded shards."""


rule render_world:
    output:
        directory(f"{DATA}/{{collection}}/world"),
    log:
        f"{DATA}/{{collection}}/logs/render_world.log",
    benchmark:
        f"{DATA}/{{collection}}/benchmarks/render_world.tsv"
    conda:
        "../envs/workflow.yaml"
    threads: 8
    resources:
        mem_mb=grows(2000),
        runtime=grows(60),
    params:
        settings=lambda wildcards: settings_json(
            source=SETTINGS.collections[wildcards.collection].source, seed=SETTINGS.seed
        ),
        code=code("render_world"),
    shell:
        "python -m pipeline_src.stages.render_world --settings {params.settings:q} --collection {wildcards.collection} --threads {threads}"
        " --out {output:q} 2> {log:q}"


rule sample_videos:
    output:
        f"{DATA}/{{collection}}/sample/videos.csv",
    log:
        f"{DATA}/{{collection}}/logs/sample_videos.log",
    benchmark:
        f"{DATA}/{{collection}}/benchmarks/sample_videos.tsv"
    conda:
        "../envs/workflow.yaml"
    resources:
        mem_mb=grows(2000),
        runtime=grows(1440),
        fetch=1,
    params:
        settings=lambda wildcards: settings_json(
            source=SETTINGS.collections[wildcards.collection].source, seed=SETTINGS.seed
        ),
        # No output: what YouTube has answered survives a failed job, and more videos ask only for more.
        answers=lambda wildcards, output: str(Path(output[0]).with_name("answers.jsonl")),
        machine=SEARCH_MACHINE,
        code=code("sample_videos"),
    shell:
        "python -m pipeline_src.stages.sample_videos --settings {params.settings:q} --machine {params.machine:q} --collection {wildcards.collection}"
        " --answers {params.answers:q} --out {output:q} 2> {log:q}"


checkpoint plan_clips:
    input:
        plan_input,
    output:
        f"{DATA}/{{collection}}/plan/shards.json",
    log:
        f"{DATA}/{{collection}}/logs/plan_clips.log",
    benchmark:
        f"{DATA}/{{collection}}/benchmarks/plan_clips.tsv"
    conda:
        "../envs/workflow.yaml"
    resources:
        mem_mb=grows(4000),
        runtime=grows(120),
    params:
        settings=lambda wildcards: settings_json(
            collection=SETTINGS.collections[wildcards.collection], seed=SETTINGS.seed
        ),
        folder=lambda wildcards: f"{DATA}/{wildcards.collection}",
        source=source_state,
        machine=PLAN_MACHINE,
        code=code("plan_clips"),
    shell:
        "python -m pipeline_src.stages.plan_clips --settings {params.settings:q} --machine {params.machine:q} --collection {wildcards.collection}"
        " --folder {params.folder:q} --out {output:q} 2> {log:q}"


rule fetch_clips:
    input:
        f"{DATA}/{{collection}}/plan/{{shard}}.csv",
    output:
        media=(
            directory(f"{DATA}/{{collection}}/media/{{shard}}")
            if SETTINGS.fetch.keep_media
            else temp(directory(f"{DATA}/{{collection}}/media/{{shard}}"))
        ),
        status=f"{DATA}/{{collection}}/status/fetch/{{shard}}.csv",
    log:
        f"{DATA}/{{collection}}/logs/fetch_clips/{{shard}}.log",
    benchmark:
        f"{DATA}/{{collection}}/benchmarks/fetch_clips/{{shard}}.tsv"
    conda:
        "../envs/workflow.yaml"
    resources:
        mem_mb=grows(1000),
        runtime=grows(240),
        fetch=1,
    params:
        settings=fetch_settings,
        machine=FETCH_MACHINE,
        code=code("fetch_clips"),
    shell:
        "python -m pipeline_src.stages.fetch_clips --settings {params.settings:q} --machine {params.machine:q} --plan {input:q}"
        " --media {output.media:q} --status {output.status:q} 2> {log:q}"


rule decode_clips:
    input:
        plan=f"{DATA}/{{collection}}/plan/{{shard}}.csv",
        media=f"{DATA}/{{collection}}/media/{{shard}}",
        fetched=f"{DATA}/{{collection}}/status/fetch/{{shard}}.csv",
    output:
        frames=f"{DATA}/{{collection}}/frames/{{shard}}.h5",
        sound=f"{DATA}/{{collection}}/sound/{{shard}}.h5",
        status=f"{DATA}/{{collection}}/status/decode/{{shard}}.csv",
    log:
        f"{DATA}/{{collection}}/logs/decode_clips/{{shard}}.log",
    benchmark:
        f"{DATA}/{{collection}}/benchmarks/decode_clips/{{shard}}.tsv"
    conda:
        "../envs/workflow.yaml"
    threads: 8
    resources:
        mem_mb=grows(4000),
        runtime=grows(240),
    params:
        settings=lambda wildcards: settings_json(decode=SETTINGS.decode),
        code=code("decode_clips"),
    shell:
        "python -m pipeline_src.stages.decode_clips --settings {params.settings:q} --plan {input.plan:q} --fetched {input.fetched:q}"
        " --frames {output.frames:q} --sound {output.sound:q} --status {output.status:q} --threads {threads} 2> {log:q}"
