# One run: a config, a setting and a seed at a scale. It is stale when its resolved parameters, what its images are made
# of, or the code that it imports change (params). How and where it runs is given by resources, which make nothing stale. Its checkpoint is no
# output, so that Snakemake does not delete it. Where a run is shorter than its start, a job does ten seeds, one by one;
# each has files of its own, and what is there already comes back from the store. A problem has a rule of its own, so that
# its jobs ask a scheduler for the same.

for problem in PROBLEMS.values():
    runs = f"{RESULTS}/{{scale}}/{{problem}}/{{config}}/{{setting}}"

    rule:
        name:
            f"train_{problem.name}"
        input:
            data_files,
        output:
            (
                [f"{runs}/seed-{{tens}}{seed}/metrics.parquet" for seed in range(10)]
                if problem.tens
                else f"{runs}/seed-{{seed}}/metrics.parquet"
            ),
        log:
            (
                f"{runs}/seeds-{{tens}}0-{{tens}}9.log"
                if problem.tens
                else f"{runs}/seed-{{seed}}/run.log"
            ),
        wildcard_constraints:
            problem=problem.name,
            tens="|[1-9][0-9]*",
        conda:
            "../../envs/lop.yaml"
        threads: 1
        resources:
            mem_mb=lambda wildcards: asked_for(wildcards).mem_mb,
            runtime=lambda wildcards: asked_for(wildcards).runtime,
            gpu=lambda wildcards: asked_for(wildcards).gpu,
            python=sys.executable,
            device=config["device"],
            images=f"--data-source {IMAGES.source} --data-seed {IMAGES.seed}"
            + " --images-from-storage" * IN_STORAGE,
            checkpoint_every=str(config["checkpoint_every"]),
            progress_every=str(config["progress_every"]),
        params:
            seeds=seeds_of,
            parameters=lambda wildcards: spec_of(wildcards).params()["parameters"],
            code=lambda wildcards: spec_of(wildcards).params()["code"],
            entry=lambda wildcards: spec_of(wildcards).problem.entry,
        message:
            "{wildcards.scale} {wildcards.problem}/{wildcards.config} {wildcards.setting} seed {params.seeds}"
        shell:
            # exec: signals reach the run itself; it saves, and the same job goes on from there.
            "exec {resources.python:q} -m {params.entry}"
            " --config lop/{wildcards.problem}/cfg/{wildcards.config:q}.yml --setting {wildcards.setting:q}"
            " --seed {params.seeds} --scale {wildcards.scale} --device {resources.device}"
            " --checkpoint-every {resources.checkpoint_every} --progress-every {resources.progress_every}"
            " {resources.images} --fresh --die-with-parent --log {log:q} --metrics {output:q} --images {input:q}"
