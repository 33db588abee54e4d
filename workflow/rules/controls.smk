"""Controls of the search: what uniform weights, each term alone, and features that nobody trained are worth."""

CONTROLS = f"{RUN}/search/controls"


rule propose_controls:
    output:
        f"{CONTROLS}/population.csv",
    log:
        f"{RUN}/logs/propose_controls.log",
    priority: 1
    conda:
        "../envs/workflow.yaml"
    params:
        settings=lambda wildcards: settings_json(terms=SETTINGS.loss.terms, alone=alone_terms()),
        code=code("propose_controls"),
    shell:
        "python -m pipeline_src.stages.propose_controls --settings {params.settings:q} --population {output:q} 2> {log:q}"


# As individuals are, but to the end: those of a search that were stopped early do not compare.
use rule try_weights as try_controls with:
    input:
        pool=f"{DATA}/pool/index.json",
        weak=weak_index,
        scales=f"{RUN}/search/scales.json",
        population=f"{CONTROLS}/population.csv",
    output:
        fitness=f"{CONTROLS}/rung_{{rung}}/seed_{{seed}}/job_{{job}}/fitness.json",
        metrics=f"{CONTROLS}/rung_{{rung}}/seed_{{seed}}/job_{{job}}/metrics.jsonl",
    log:
        f"{RUN}/logs/try_controls/{{rung}}_{{seed}}_{{job}}.log",
    benchmark:
        f"{RUN}/benchmarks/try_controls/{{rung}}_{{seed}}_{{job}}.tsv"
    wildcard_constraints:
        rung="0",
    params:
        settings=lambda wildcards: trial_settings(keep_encoders=False, rungs=1),
        machine=CONTROLS_MACHINE,
        weak=lambda wildcards, input: ["--weak", input.weak] if input.weak else [],
        generation=lambda wildcards, input: str(Path(input.population).parent),


rule score_controls:
    input:
        pool=f"{DATA}/pool/index.json",
        weak=weak_index,
        tried=control_results,
    output:
        f"{RUN}/search/controls.json",
    log:
        f"{RUN}/logs/score_controls.log",
    benchmark:
        f"{RUN}/benchmarks/score_controls.tsv"
    priority: 1
    conda:
        "../envs/workflow.yaml"
    threads: SETTINGS.torch_threads
    resources:
        mem_mb=grows(8000),
        runtime=grows(60),
        gpu=gpus(SETTINGS.fitness.embed.device),
    params:
        settings=lambda wildcards: training_settings(
            SETTINGS.proxy,
            fitness=SETTINGS.fitness,
            trials={**SETTINGS.search.trials.model_dump(), "rungs": 1},
            alone=alone_terms(),
            seed=SETTINGS.seed,
        ),
        machine=CONTROLS_MACHINE,
        weak=lambda wildcards, input: ["--weak", input.weak] if input.weak else [],
        tried=lambda wildcards, output: f"{Path(output[0]).parent}/controls",
        code=code("score_controls"),
    shell:
        "python -m pipeline_src.stages.score_controls --settings {params.settings:q} --machine {params.machine:q} --pool {input.pool:q} {params.weak:q}"
        " --tried {params.tried:q} --out {output:q} 2> {log:q}"
