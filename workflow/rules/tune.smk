# Choose the hyperparameters of the comparisons under `tuning` in the file of the scale: `snakemake tune`. The runs have
# seeds of their own, which no figure shows. The chosen values apply to this scale from the next run of Snakemake on.

if SWEEPS:

    rule tune:
        input:
            [f"{RESULTS}/{TABLES[name]}" for name in SWEEPS],
        output:
            expand(
                "tuning/{scale}/{name}.{suffix}",
                scale=SCALE,
                name=[name.removeprefix(PREFIX) for name in SWEEPS],
                suffix=["csv", "pdf", "png"],
            ),
            tuned=update(f"config/tuned/{SCALE}.yaml"),
        log:
            f"{RESULTS}/logs/tune.log",
        params:
            scale=SCALE,
            names=list(SWEEPS),
            comparisons=[
                comparison_of(name, SCALE).model_dump(mode="json") for name in SWEEPS
            ],
            code=sources.digest("lop.figures.sweeps"),
        message:
            "choose hyperparameters at {params.scale} scale"
        script:
            "../scripts/tune.py"

else:

    rule tune:
        log:
            f"{RESULTS}/logs/tune.log",
        message:
            f"error: config/scales/{SCALE}.yaml: found no key `tuning`"
        shell:
            "exit 2"
