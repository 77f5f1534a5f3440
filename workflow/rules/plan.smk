# What is to be made and what it costs: `snakemake plan`, or `snakemake plan --config scale=paper`. Starts no run.


localrules:
    plan,


rule plan:
    log:
        f"{RESULTS}/{SCALE}/plan.log",
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
        "plan at {params.scale} scale"
    shell:
        "{resources.python:q} -m lop.plan --scale {params.scale} --results {resources.results:q}"
        " --data-source {resources.source} --data-seed {resources.seed} 2>&1 | tee {log:q}"
