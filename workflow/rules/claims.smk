# Test the paper's claims on the collected tables: `snakemake claims`.


rule claims:
    input:
        lambda wildcards: [table_of_current_runs(figure) for figure in CLAIMED],
    output:
        csv="figures/claims.csv",
        markdown="figures/claims.md",
    log:
        f"{RESULTS}/logs/claims.log",
    resources:
        selection=shlex.join(SELECTION),
    params:
        figures=CLAIMED,
        what=lambda wildcards: json.dumps(
            [judged_from(FIGURES[figure], IMAGES) for figure in CLAIMED]
        ),
        code=sources.digest("lop.claims.table"),
    message:
        f"test the claims at {SCALE} scale"
    script:
        "../scripts/claims.py"
