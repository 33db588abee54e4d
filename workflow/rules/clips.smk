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
            source=SETTINGS.collections[wildcards.collection].source, fetch=SETTINGS.fetch, seed=SETTINGS.seed
        ),
        # No output: what YouTube has answered survives a failed job, and more videos ask only for more.
        answers=lambda wildcards, output: str(Path(output[0]).with_name("answers.jsonl")),
        code=code("sample_videos"),
    shell:
        "python -m pipeline_src.stages.sample_videos --settings {params.settings:q} --collection {wildcards.collection}"
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
        code=code("plan_clips"),
    shell:
        "python -m pipeline_src.stages.plan_clips --settings {params.settings:q} --collection {wildcards.collection}"
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
        code=code("fetch_clips"),
    shell:
        "python -m pipeline_src.stages.fetch_clips --settings {params.settings:q} --plan {input:q} --media {output.media:q}"
        " --status {output.status:q} 2> {log:q}"


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


# A record of what failed when it was made: no change of code or settings makes another one of it.
checkpoint plan_retry:
    output:
        f"{DATA}/{{collection}}/plan/retry_{{round}}.json",
    log:
        f"{DATA}/{{collection}}/logs/plan_retry_{{round}}.log",
    conda:
        "../envs/workflow.yaml"
    params:
        settings=lambda wildcards: settings_json(
            clips_per_shard=SETTINGS.collections[wildcards.collection].plan.clips_per_shard
        ),
        folder=lambda wildcards: f"{DATA}/{wildcards.collection}",
    shell:
        "python -m pipeline_src.stages.plan_retry --settings {params.settings:q} --folder {params.folder:q} --round {wildcards.round}"
        " --out {output:q} 2> {log:q}"


# A target for people: fetch again the clips that failed for a passing reason, and only those.
rule retry_failed:
    input:
        retried_shards,
    log:
        f"{DATA}/logs/retry_failed.log",
    conda:
        "../envs/workflow.yaml"
    params:
        settings=settings_json(),
        folders=lambda wildcards: [f"{DATA}/{name}" for name in retry_rounds()],
        rounds=lambda wildcards: list(retry_rounds().values()),
    shell:
        "python -m pipeline_src.stages.tell_retried --settings {params.settings:q} --folders {params.folders:q}"
        " --rounds {params.rounds:q} 2>&1 | tee {log:q}"
