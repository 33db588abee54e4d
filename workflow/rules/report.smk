"""The page that shows a run."""


rule write_report:
    input:
        results=[
            f"{RUN}/transfer/{name}.csv"
            for name in ("results", "summary", "paired", "retrieval", "fewer_labels", "fewer_labels_summary", "probes")
        ],
        overlap=f"{RUN}/overlap.json",
        scales=f"{RUN}/search/scales.json",
        controls=f"{RUN}/search/controls.json",
        generations=[f"{folder}/generation.csv" for folder in GENERATIONS],
        metrics=[f"{model}/metrics.jsonl" for model in MODELS],
        fitness=[f"{model}/fitness.json" for model in MODELS],
        indexes=[f"{DATA}/{name}/index.json" for name in ["pool", *LABELLED]],
        plans=[f"{DATA}/{name}/plan/shards.json" for name in ["pool", *LABELLED]],
    output:
        page=report(
            f"{RUN}/report/index.html",
            caption="../report/page.rst",
            category="Report",
            labels={"shows": "the whole run"},
        ),
        figures=report(
            directory(f"{RUN}/report/figures"),
            patterns=["{group}/{figure}.svg"],
            caption="../report/figure.rst",
            category=lambda wildcards: captions.FIGURES[wildcards.group].category,
            subcategory=lambda wildcards: captions.FIGURES[wildcards.group].title,
            labels=lambda wildcards: {"shows": wildcards.figure.replace("_", " ")},
        ),
        tables=report(
            directory(f"{RUN}/report/tables"),
            patterns=["{table}.csv"],
            caption="../report/table.rst",
            category="Numbers",
            labels={"shows": "{table}"},
        ),
    log:
        f"{RUN}/logs/write_report.log",
    conda:
        "../envs/workflow.yaml"
    resources:
        mem_mb=grows(4000),
        runtime=grows(60),
    params:
        settings=lambda wildcards: settings_json(run=SETTINGS),
        code=code("write_report"),
        template=template_version(),
        captions={"page": captions.PAGE, "figures": captions.of_figures(), "tables": captions.of_tables()},
    shell:
        "python -m pipeline_src.stages.write_report --settings {params.settings:q} --page {output.page:q} --figures {output.figures:q}"
        " --tables {output.tables:q} 2> {log:q}"
