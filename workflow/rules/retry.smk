"""Rounds of fetching again the clips that failed for a passing reason."""


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
