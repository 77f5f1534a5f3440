# One run: the address says which. No parameter stands in the rule, so nothing but a missing file makes a run necessary;
# `update` keeps a file that exists whatever Snakemake thinks of it, and the run itself finds that nothing is left to do.
# How and where a run is made is given by resources, which make nothing stale. Checkpoints are no outputs, so that
# Snakemake does not delete them. Where a run is shorter than the start of its process, a job makes ten seeds one by one.
# Each problem has a rule of its own, so that all its jobs ask a scheduler for the same.

for problem in PROBLEMS.values():
    runs = f"{RESULTS}/{{group}}"

    rule:
        name:
            f"train_{problem.name}"
        input:
            train_images,
        output:
            (
                [
                    update(f"{runs}/seed-{{tens}}{seed}/metrics-{{length}}.parquet")
                    for seed in range(10)
                ]
                if problem.tens
                else update(f"{runs}/seed-{{seed}}/metrics-{{length}}.parquet")
            ),
        log:
            (
                f"{runs}/seeds-{{tens}}0-{{tens}}9-{{length}}.log"
                if problem.tens
                else f"{runs}/seed-{{seed}}/run-{{length}}.log"
            ),
        wildcard_constraints:
            group=f"{problem.name}/[^/]+/[0-9a-f]{{16}}",
            tens="|[1-9][0-9]*",
        conda:
            "../../envs/lop.yaml"
        threads: 1
        resources:
            mem_mb=lambda wildcards: asked_for(wildcards).mem_mb,
            runtime=lambda wildcards: asked_for(wildcards).runtime,
            gpu=lambda wildcards: asked_for(wildcards).gpu,
            command=train_command,
            runs=lambda wildcards: f"{spec_of(wildcards).name_of_all_seeds} seed {seeds_of(wildcards)}",
        message:
            "{resources.runs}"
        shell:
            # exec: signals reach the run itself; it saves, and the same job continues from there.
            "exec {resources.command} --die-with-parent --log {log:q} --metrics {output:q} --images {input:q}"
