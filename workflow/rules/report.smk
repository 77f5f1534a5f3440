# One page of what there is, figures/report.html: `snakemake report`, or `snakemake report --config scale=paper`. Starts no run.


localrules:
    report,


rule report:
    log:
        f"{RESULTS}/{SCALE}/report.log",
    conda:
        "../../envs/lop.yaml"
    resources:
        python=sys.executable,
        results=RESULTS,
        source=IMAGES.source,
        seed=str(IMAGES.seed),
    params:
        scale=SCALE,
    message:
        "report at {params.scale} scale"
    shell:
        "{resources.python:q} -m lop.report --scale {params.scale} --results {resources.results:q}"
        " --data-source {resources.source} --data-seed {resources.seed} 2>&1 | tee {log:q}"
