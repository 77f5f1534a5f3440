# One run: a config, a setting and a seed at a scale. It is stale when its resolved parameters or the code that it
# imports change (params). How and where it runs is given by resources, which make nothing stale. Its checkpoint is no
# output, so that Snakemake does not delete it.


rule train:
    output:
        f"{RESULTS}/{{scale}}/{{problem}}/{{config}}/{{setting}}/seed-{{seed}}/metrics.parquet",
    log:
        f"{RESULTS}/{{scale}}/{{problem}}/{{config}}/{{setting}}/seed-{{seed}}/run.log",
    conda:
        "../../envs/lop.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        python=sys.executable,
        results=RESULTS,
        device=config["device"],
        checkpoint_every=str(config["checkpoint_every"]),
        progress_every=str(config["progress_every"]),
    params:
        parameters=lambda wildcards: spec_of(wildcards).params()["parameters"],
        code=lambda wildcards: spec_of(wildcards).params()["code"],
        entry=lambda wildcards: spec_of(wildcards).problem.entry,
    message:
        "{wildcards.scale} {wildcards.problem}/{wildcards.config} {wildcards.setting} seed {wildcards.seed}"
    shell:
        # exec: signals reach the run itself; it saves, and the same job goes on from there.
        "exec {resources.python:q} -m {params.entry}"
        " --config lop/{wildcards.problem}/cfg/{wildcards.config}.yml --setting {wildcards.setting:q}"
        " --seed {wildcards.seed} --scale {wildcards.scale} --results {resources.results:q}"
        " --device {resources.device} --checkpoint-every {resources.checkpoint_every}"
        " --progress-every {resources.progress_every} --fresh --die-with-parent --log {log:q}"
