# Execute runs, which are identified by their paths. The rules have no params, so that only a missing file triggers a run.
# `update` keeps an existing file even if Snakemake considers it outdated; the run then exits at once. The command is
# passed as a resource, since a changed resource does not trigger a rerun. Checkpoints are not outputs, because Snakemake
# would delete them. Each problem has its own rules, so that `--set-resources` can select it: train_<problem> executes one
# seed; train_<problem>_0_2, for example, executes those that end in 0, 1 and 2 in turn (lop/plan/jobs.py).

for problem, together in SEEDS_PER_JOB.items():
    for digits in [None, *(block for block in blocks(together) if len(block) > 1)]:
        runs = f"{RESULTS}/{{group}}"
        if digits is None:
            name, seeds, logs = f"train_{problem}", ["seed-{seed}"], "seed-{seed}/run"
        else:
            first, last = digits[0], digits[-1]
            name = f"train_{problem}_{first}_{last}"
            seeds = [f"seed-{{tens}}{digit}" for digit in digits]
            logs = f"seeds-{{tens}}{first}-{{tens}}{last}"

        rule:
            name:
                name
            input:
                partial(train_images, seeds=seeds),
            output:
                [update(f"{runs}/{seed}/metrics-{{length}}.parquet") for seed in seeds],
            log:
                f"{runs}/{logs}-{{length}}.log",
            wildcard_constraints:
                group=f"{problem}/[^/]+/[0-9a-f]{{16}}",
                seed=alone(together),
                tens="|[1-9][0-9]*",
            threads: 1
            resources:
                mem_mb=lambda wildcards, seeds=seeds: asked_for(wildcards, seeds).mem_mb,
                runtime=lambda wildcards, seeds=seeds: asked_for(
                    wildcards, seeds
                ).runtime,
                gpu=lambda wildcards, seeds=seeds: asked_for(wildcards, seeds).gpu,
                gpu_percent=lambda wildcards, seeds=seeds: asked_for(
                    wildcards, seeds
                ).gpu_percent,
                command=partial(train_command, seeds=seeds),
                runs=partial(name_of, seeds=seeds),
            message:
                "{resources.runs}"
            shell:
                # `exec` lets signals reach the run, which saves its state; when the job restarts, it resumes from there.
                "exec {resources.command} --die-with-parent --log {log:q} --metrics {output:q} --images {input:q}"
