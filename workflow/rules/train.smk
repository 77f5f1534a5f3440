# Execute one run, which is identified by its path. The rule has no params, so that only a missing file triggers a run.
# `update` keeps an existing file even if Snakemake considers it outdated; the run then exits at once. The command is
# passed as a resource, since a changed resource does not trigger a rerun. Checkpoints are not outputs, because Snakemake
# would delete them. If a run is shorter than the start of its process, one job executes ten seeds in turn. Each problem
# has its own rule, so that all of its jobs request the same resources.

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
                if problem.name in TENS
                else update(f"{runs}/seed-{{seed}}/metrics-{{length}}.parquet")
            ),
        log:
            (
                f"{runs}/seeds-{{tens}}0-{{tens}}9-{{length}}.log"
                if problem.name in TENS
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
            # `exec` lets signals reach the run, which saves its state; when the job restarts, it resumes from there.
            "exec {resources.command} --die-with-parent --log {log:q} --metrics {output:q} --images {input:q}"
