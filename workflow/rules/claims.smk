# What the collected tables say to the paper's claims: `snakemake claims`.

from lop.claims.registry import claimed_figures, load_claims

claims_about = told_in_one_line(load_claims)
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
        claims=lambda wildcards: json.dumps(
            [claim.model_dump() for _, claim in claims_about(wildcards.figure)]
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
