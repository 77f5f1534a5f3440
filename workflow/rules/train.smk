# One run: a config, a setting and a seed at a scale. It is stale when its resolved parameters, what its images are made
# of, or the code that it imports change (params). How and where it runs is given by resources, which make nothing stale. Its checkpoint is no
# output, so that Snakemake does not delete it. Where a run is shorter than its start, a job does ten seeds, one by one;
# each has files of its own, and what is there already comes back from the store.


rule train:
    input:
        data_files,
    output:
        f"{RESULTS}/{{scale}}/{{problem}}/{{config}}/{{setting}}/seed-{{seed}}/metrics.parquet",
    log:
        f"{RESULTS}/{{scale}}/{{problem}}/{{config}}/{{setting}}/seed-{{seed}}/run.log",
    wildcard_constraints:
        problem="|".join(name for name in PROBLEMS if not PROBLEMS[name].tens),
    conda:
        "../../envs/lop.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        python=sys.executable,
        results=RESULTS,
        device=config["device"],
        data=data_options,
        checkpoint_every=str(config["checkpoint_every"]),
        progress_every=str(config["progress_every"]),
    params:
        seeds=lambda wildcards: wildcards.seed,
        parameters=lambda wildcards: spec_of(wildcards).params()["parameters"],
        code=lambda wildcards: spec_of(wildcards).params()["code"],
        entry=lambda wildcards: spec_of(wildcards).problem.entry,
    message:
        "{wildcards.scale} {wildcards.problem}/{wildcards.config} {wildcards.setting} seed {params.seeds}"
    shell:
        # exec: signals reach the run itself; it saves, and the same job goes on from there.
        "exec {resources.python:q} -m {params.entry}"
        " --config lop/{wildcards.problem}/cfg/{wildcards.config}.yml --setting {wildcards.setting:q}"
        " --seed {params.seeds} --scale {wildcards.scale} --results {resources.results:q}"
        " --device {resources.device} --checkpoint-every {resources.checkpoint_every}"
        " --progress-every {resources.progress_every} {resources.data} --fresh --die-with-parent --log {log:q}"


use rule train as train_tens with:
    output:
        [
            f"{RESULTS}/{{scale}}/{{problem}}/{{config}}/{{setting}}/seed-{{tens}}{seed}/metrics.parquet"
            for seed in range(10)
        ],
    log:
        f"{RESULTS}/{{scale}}/{{problem}}/{{config}}/{{setting}}/seeds-{{tens}}0-{{tens}}9.log",
    wildcard_constraints:
        problem="|".join(name for name in PROBLEMS if PROBLEMS[name].tens),
        tens="|[1-9][0-9]*",
    params:
        seeds=lambda wildcards: f"{wildcards.tens}0-{wildcards.tens}9",
        parameters=lambda wildcards: spec_of(wildcards).params()["parameters"],
        code=lambda wildcards: spec_of(wildcards).params()["code"],
        entry=lambda wildcards: spec_of(wildcards).problem.entry,
