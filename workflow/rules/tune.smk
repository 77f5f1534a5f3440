# Choose the hyperparameters of the comparisons under `tuning` in the file of the scale: `snakemake tune`. The runs have
# seeds of their own, which no figure shows. The chosen values apply to this scale from the next call of Snakemake on.


rule tune:
    input:
        sweep_tables,
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
    conda:
        "../../envs/lop.yaml"
    params:
        scale=SCALE,
        names=list(SWEEPS),
        code=sources.digest("lop.figures.sweeps"),
    message:
        "choose hyperparameters at {params.scale} scale"
    script:
        "../scripts/tune.py"
