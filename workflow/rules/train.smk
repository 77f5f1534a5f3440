# One run: a config, a setting and a seed at a scale. It is stale when its resolved parameters or the code that it
# imports change. Its checkpoint is no output, so that Snakemake does not delete it.


rule train:
    output:
        RESULTS + "/{scale}/{problem}/{config}/{setting}/seed-{seed}/metrics.parquet",
    params:
        parameters=lambda wildcards: spec_of(wildcards).params()["parameters"],
        code=lambda wildcards: spec_of(wildcards).params()["code"],
        entry=lambda wildcards: spec_of(wildcards).problem.entry,
    log:
        RESULTS + "/{scale}/{problem}/{config}/{setting}/seed-{seed}/run.log",
    conda:
        "../../envs/lop.yaml"
    threads: 1
    resources:
        mem_mb=2000,
    message:
        "{wildcards.scale} {wildcards.problem}/{wildcards.config} {wildcards.setting} seed {wildcards.seed}"
    shell:
        # exec: signals reach the run itself; it saves, and the same job goes on from there.
        "exec {sys.executable} -m {params.entry}"
        " --config lop/{wildcards.problem}/cfg/{wildcards.config}.yml --setting {wildcards.setting:q}"
        " --seed {wildcards.seed} --scale {wildcards.scale} --results {RESULTS:q}"
        " --device {config[device]} --checkpoint-every {config[checkpoint_every]}"
        " --progress-every {config[progress_every]} --fresh --die-with-parent --log {log:q}"
