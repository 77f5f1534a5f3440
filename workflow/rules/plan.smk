# List missing runs and estimate their core hours: `snakemake plan`, or `snakemake plan --config scale=paper`. No run is
# started.


localrules:
    plan,


rule plan:
    log:
        f"{RESULTS}/logs/plan.log",
    conda:
        "../../envs/lop.yaml"
    resources:
        command=shlex.join([sys.executable, "-m", "lop.plan", *SELECTION]),
    message:
        f"plan at {SCALE} scale"
    shell:
        "{resources.command} 2>&1 | tee {log:q}"
