# Draw the figures. Any change to the drawing code, even to its comments, redraws them, which takes seconds. `update`
# keeps Snakemake from deleting the files before the job, which another Snakemake may have just written.


rule figure:
    input:
        pictures=picture_files,
        collected=lambda wildcards: table_of(wildcards.figure),
    output:
        pdf=update(
            report(
                "figures/{figure}.pdf",
                caption="../report/figure.rst",
                category="Figures",
                labels={"figure": "{figure}", "scale": SCALE},
            )
        ),
        png=update("figures/{figure}.png"),
        csv=update("figures/{figure}.csv"),
    log:
        f"{RESULTS}/logs/{{figure}}.log",
    resources:
        selection=shlex.join(SELECTION),
    params:
        scale=SCALE,
        what=lambda wildcards: FIGURES[wildcards.figure].model_dump_json(),
        looks=lambda wildcards: looks_of(FIGURES[wildcards.figure]),
        label=lambda wildcards: label_of(wildcards.figure),
        code=lambda wildcards: sources.digest(
            "lop.figures.draw",
            *(picture.module for picture in FIGURES[wildcards.figure].pictures),
            comments=True,
        ),
        style=(ROOT / "lop/figures/lop.mplstyle").read_text(),
    message:
        "draw {wildcards.figure} at {params.scale} scale"
    script:
        "../scripts/figure.py"
