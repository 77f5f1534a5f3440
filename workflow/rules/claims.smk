# What the collected tables say to the paper's claims: `snakemake claims`.

from lop.claims.basis import judged_from
from lop.claims.registry import claimed_figures

verdicts_from = told_in_one_line(judged_from)
claims_figures = told_in_one_line(claimed_figures)


rule claims_of_figure:
    input:
        f"{RESULTS}/{{scale}}/collected/{{figure}}.parquet",
    output:
        f"{RESULTS}/{{scale}}/claims/{{figure}}.csv",
    log:
        f"{RESULTS}/{{scale}}/claims/{{figure}}.log",
    conda:
        "../../envs/lop.yaml"
    params:
        what=lambda wildcards: json.dumps(
            verdicts_from(figure_at(wildcards.figure, wildcards.scale), IMAGES)
        ),
        code=lambda wildcards: sources.digest("lop.claims.table"),
    message:
        "claims about {wildcards.figure} at {wildcards.scale} scale"
    script:
        "../scripts/claims_of_figure.py"


rule claims:
    input:
        lambda wildcards: expand(
            f"{RESULTS}/{SCALE}/claims/{{figure}}.csv", figure=claims_figures()
        ),
    output:
        csv="figures/claims.csv",
        markdown="figures/claims.md",
    log:
        f"{RESULTS}/{SCALE}/claims/all.log",
    conda:
        "../../envs/lop.yaml"
    params:
        code=lambda wildcards: sources.digest("lop.claims.table"),
    message:
        "claims at {SCALE} scale: figures/claims.md"
    script:
        "../scripts/claims.py"
