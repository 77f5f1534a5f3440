# The figures themselves; any change of what draws them draws them again, comments included: it costs seconds.


rule figure:
    input:
        pictures=picture_files,
        collected=f"{RESULTS}/{SCALE}/collected/{{figure}}.parquet",
    output:
        pdf=report(
            "figures/{figure}.pdf",
            caption="../report/figure.rst",
            category="Figures",
            labels={"figure": "{figure}", "scale": SCALE},
        ),
        png="figures/{figure}.png",
        csv="figures/{figure}.csv",
    log:
        f"{RESULTS}/{SCALE}/figures/{{figure}}.log",
    conda:
        "../../envs/lop.yaml"
    params:
        scale=SCALE,
        what=lambda wildcards: figure_at(wildcards.figure, SCALE).model_dump_json(),
        code=lambda wildcards: sources.digest("lop.figures.draw", comments=True),
        pictures=lambda wildcards: [
            [
                sources.digest(picture.module, comments=True),
                data_identity(picture.data, IMAGES.source) if picture.data else "",
            ]
            for picture in figure_at(wildcards.figure, SCALE).pictures
        ],
        style=(ROOT / "lop/figures/lop.mplstyle").read_text(),
    message:
        "draw {wildcards.figure} at {params.scale} scale"
    script:
        "../scripts/figure.py"
