# Repeat the beginning of published runs and compare: `snakemake verify --cores 2 --config scale=day`.
# List missing runs and estimate their core-hours: `snakemake plan`, or `snakemake plan --config scale=paper`. No run is
# started.


localrules:
    plan,
    verify,


rule plan:
    log:
        f"{RESULTS}/logs/plan.log",
    resources:
        command=shlex.join([sys.executable, "-m", "lop.plan", *SELECTION]),
    message:
        f"plan at {SCALE} scale"
    shell:
        "{resources.command} 2>&1 | tee {log:q}"


rule verify:
    log:
        f"{RESULTS}/logs/verify.log",
    threads: 8  # or as many as there are cores
    resources:
        command=shlex.join([sys.executable, "-m", "lop.report.verify", *SELECTION]),
    message:
        f"verify published runs at {SCALE} scale"
    shell:
        "{resources.command} --jobs {threads} 2>&1 | tee {log:q}"
