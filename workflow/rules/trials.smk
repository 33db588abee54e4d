"""The trials of a generation: individuals trained and judged, in rungs of successive halving.

There are two searches: `search` is the run's own, `random` one of the same size whose weights are drawn at random, for
the lineup's kind best_of_random. How many jobs there are, and their files, follows from the configuration; who fills a slot of a later rung is decided by
rank, inside the job (`pipeline_src/evolution/trials.py`).
"""

GENERATION = f"{RUN}/{{search}}/gen_{{generation}}"
KEPT = {"encoders": directory(f"{GENERATION}/rung_{{rung}}/seed_{{seed}}/job_{{job}}/encoders")}
JOB = f"{GENERATION}/rung_{{rung}}/seed_{{seed}}/job_{{job}}"


rule try_weights:
    input:
        pool=f"{DATA}/pool/index.json",
        weak=weak_index,
        scales=f"{RUN}/search/scales.json",
        population=f"{GENERATION}/population.csv",
        earlier=earlier_results,
        states=earlier_states,
    output:
        **(KEPT if SETTINGS.search.keep_encoders else {}),
        fitness=f"{JOB}/fitness.json",
        metrics=f"{JOB}/metrics.jsonl",
    log:
        f"{RUN}/logs/try_weights/{{search}}_{{generation}}_{{rung}}_{{seed}}_{{job}}.log",
    benchmark:
        f"{RUN}/benchmarks/try_weights/{{search}}_{{generation}}_{{rung}}_{{seed}}_{{job}}.tsv"
    wildcard_constraints:
        rung=str(SETTINGS.search.trials.rungs - 1),
    priority: 1
    conda:
        "../envs/workflow.yaml"
    threads: training_cores(SETTINGS.proxy)
    resources:
        mem_mb=grows(training_memory(SETTINGS.proxy, 7000 + 1000 * SETTINGS.search.trials.share)),
        runtime=grows(240 * SETTINGS.search.trials.share),
        gpu=max(gpus(SETTINGS.proxy.device), gpus(SETTINGS.fitness.embed.device)),
    params:
        settings=lambda wildcards: trial_settings(),
        machine=CONTROLS_MACHINE,
        weak=lambda wildcards, input: ["--weak", input.weak] if input.weak else [],
        generation=lambda wildcards, input: str(Path(input.population).parent),
    shell:
        "python -m pipeline_src.stages.try_weights --settings {params.settings:q} --machine {params.machine:q} --pool {input.pool:q} {params.weak:q}"
        " --scales {input.scales:q} --generation {params.generation:q} --rung {wildcards.rung} --seed {wildcards.seed}"
        " --job {wildcards.job} 2> {log:q}"


if SETTINGS.search.trials.rungs > 1:

    # All rungs but the last also leave what the next one goes on from.
    use rule try_weights as try_weights_further with:
        output:
            fitness=f"{JOB}/fitness.json",
            metrics=f"{JOB}/metrics.jsonl",
            states=temp(f"{JOB}/states.pt"),
        wildcard_constraints:
            rung=f"[0-{SETTINGS.search.trials.rungs - 2}]",
