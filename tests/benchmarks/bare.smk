"""The search alone, with neither settings, versions, logs, benchmarks, retries nor resources: a floor for ours."""

import sys

sys.setrecursionlimit(100_000)
SEARCH = "results/tiny/search"
GENERATION = SEARCH + "/gen_{generation}"
JOB = GENERATION + "/rung_0/seed_0/job_{job}"


wildcard_constraints:
    generation=r"\d+",
    job=r"\d+",


def before(wildcards):
    number = int(wildcards.generation)
    return [f"{SEARCH}/gen_{number - 1:03d}/state.json"] if number else []


def found(wildcards):
    here = f"{SEARCH}/gen_{wildcards.generation}"
    return [f"{here}/rung_0/seed_0/job_{job:03d}/fitness.json" for job in range(config["jobs"])]


def state(wildcards, input):
    return f"--state {input.state}" if input.state else ""


rule collect:
    input:
        [f"{SEARCH}/gen_{number:03d}/generation.csv" for number in range(config["generations"])],
    output:
        csv=f"{SEARCH}/individuals.csv",
        parquet=f"{SEARCH}/individuals.parquet",
    params:
        generations=config["generations"],
    shell:
        "python -m pipeline_src.stages.collect_individuals --settings {{}} --run results/tiny"
        " --generations {params.generations}"
        " --csv {output.csv} --parquet {output.parquet} 2> /dev/null"


rule propose:
    input:
        state=before,
    output:
        f"{GENERATION}/population.csv",
    params:
        settings=config["propose"],
        state=state,
    shell:
        "python -m pipeline_src.stages.propose_weights --settings {params.settings:q}"
        " --generation {wildcards.generation} {params.state} --population {output} 2> /dev/null"


rule trial:
    input:
        pool="data/pool/index.json",
        weak="data/labelled/index.json",
        scales=f"{SEARCH}/scales.json",
        population=f"{GENERATION}/population.csv",
    output:
        fitness=f"{JOB}/fitness.json",
        metrics=f"{JOB}/metrics.jsonl",
    params:
        settings=config["trial"],
        folder=lambda wildcards: f"{SEARCH}/gen_{wildcards.generation}",
    shell:
        "python -m pipeline_src.stages.try_weights --settings {params.settings:q} --pool {input.pool} --weak {input.weak}"
        " --scales {input.scales} --generation {params.folder} --rung 0 --seed 0 --job {wildcards.job} 2> /dev/null"


rule rank:
    input:
        state=before,
        population=f"{GENERATION}/population.csv",
        fitness=found,
    output:
        table=f"{GENERATION}/generation.csv",
        state=f"{GENERATION}/state.json",
    params:
        settings=config["rank"],
        state=state,
        folder=lambda wildcards: f"{SEARCH}/gen_{wildcards.generation}",
    shell:
        "python -m pipeline_src.stages.rank_generation --settings {params.settings:q}"
        " --generation {wildcards.generation} {params.state} --population {input.population} --folder {params.folder}"
        " --table {output.table} --state-out {output.state} 2> /dev/null"
