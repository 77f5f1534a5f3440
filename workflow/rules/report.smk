# Build one page, figures/report.html, with all figures, claims and provenance: `snakemake report`. No run is started.
# Pack a figure and everything it was made from into one archive: `snakemake figures/fig4a.crate.zip`.


localrules:
    report,
    crate,


rule report:
    log:
        f"{RESULTS}/logs/report.log",
    resources:
        command=shlex.join([sys.executable, "-m", "lop.report", *SELECTION]),
    message:
        f"report at {SCALE} scale"
    shell:
        "{resources.command} 2>&1 | tee {log:q}"


rule crate:
    input:
        crate_files,
        collected=lambda wildcards: table_of_current_runs(wildcards.figure),
        pdf="figures/{figure}.pdf",
        png="figures/{figure}.png",
        csv="figures/{figure}.csv",
    output:
        "figures/{figure}.crate.zip",
    log:
        f"{RESULTS}/logs/{{figure}}.crate.log",
    resources:
        selection=shlex.join(SELECTION),
    params:
        scale=SCALE,
        code=sources.digest("lop.report.crate"),
    message:
        "pack {wildcards.figure} at {params.scale} scale: {output}"
    script:
        "../scripts/crate.py"
