# One page of what there is, figures/report.html: `snakemake report`, or `snakemake report --config scale=paper`. Starts no run.
# A figure with all that it was made of, in one file: `snakemake figures/fig4a.crate.zip`.


localrules:
    report,
    crate,


rule report:
    log:
        f"{RESULTS}/{SCALE}/report.log",
    conda:
        "../../envs/lop.yaml"
    resources:
        python=sys.executable,
        results=RESULTS,
        source=IMAGES.source,
        seed=str(IMAGES.seed),
    params:
        scale=SCALE,
    message:
        "report at {params.scale} scale"
    shell:
        "{resources.python:q} -m lop.report --scale {params.scale} --results {resources.results:q}"
        " --data-source {resources.source} --data-seed {resources.seed} 2>&1 | tee {log:q}"


rule crate:
    input:
        lambda wildcards: [
            f"{RESULTS}/{path}" for path in figure_at(wildcards.figure, SCALE).files()
        ],
        collected=f"{RESULTS}/{SCALE}/collected/{{figure}}.parquet",
        pdf="figures/{figure}.pdf",
        png="figures/{figure}.png",
        csv="figures/{figure}.csv",
    output:
        "figures/{figure}.crate.zip",
    log:
        f"{RESULTS}/{SCALE}/figures/{{figure}}.crate.log",
    conda:
        "../../envs/lop.yaml"
    params:
        scale=SCALE,
        code=lambda wildcards: sources.digest("lop.report.crate"),
    message:
        "research object of {wildcards.figure} at {params.scale} scale: {output}"
    script:
        "../scripts/crate.py"
